#include "tests/util/hostile.h"
#include "shm/atomic.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

uint32_t hostile_random(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 32) * n >> 32);
}

static void fill_random(uint64_t *seed, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)hostile_random(seed, 256);
}

/* ---- raw sessions ---- */

struct abi_hello raw_hello(void)
{
	return (struct abi_hello){ .magic = GYRE_ABI_MAGIC,
				   .version = GYRE_ABI_VERSION,
				   .layout_hash = abi_layout_hash() };
}

int raw_connect(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		abort();
	return fd;
}

int raw_open(struct raw *w, const char *path, const struct abi_hello *hello)
{
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &w->welcome, sizeof(w->welcome) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c;
	int fds[3];

	*w = (struct raw){ .fd = raw_connect(path), .event_fd = -1, .region = { .client_fd = -1, .daemon_fd = -1 } };
	if (send(w->fd, hello, sizeof(*hello), MSG_NOSIGNAL) < 0 || recvmsg(w->fd, &m, MSG_CMSG_CLOEXEC) <= 0)
		return -ECONNRESET;
	if (w->welcome.res < 0)
		return w->welcome.res;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_len != CMSG_LEN(sizeof(fds)))
		abort();
	memcpy(fds, CMSG_DATA(c), sizeof(fds));
	w->event_fd = fds[2];
	return region_attach(&w->region, fds[0], fds[1]);
}

void raw_close(struct raw *w)
{
	region_deinit(&w->region);
	if (w->event_fd >= 0)
		close(w->event_fd);
	close(w->fd);
}

void raw_submit(struct raw *w, const struct gyre_sqe *sqe, uint32_t n)
{
	uint32_t entries = w->region.layout.sq_entries, tail = load_relaxed(&w->region.client->sq_tail);

	for (uint32_t i = 0; i < n; i++)
		region_sqe(&w->region)[(tail + i) & (entries - 1)] = sqe[i];
	store_release(&w->region.client->sq_tail, tail + n); /* pairs with the load-acquire in sq_consumer_load */
	if (doorbell_is_needed(w->region.daemon))
		doorbell_ring(w->event_fd);
}

/* ---- misdeeds ---- */

static void dwell(uint64_t *seed, uint32_t n_us)
{
	if (n_us)
		usleep(hostile_random(seed, n_us));
}

static void speak_garbage(const char *path, uint64_t *seed, uint32_t n_us)
{
	uint8_t bytes[600];
	size_t n = hostile_random(seed, sizeof(bytes));
	int fd = raw_connect(path);

	if (!hostile_random(seed, 4))
		n = sizeof(struct abi_hello);
	fill_random(seed, bytes, n);
	send(fd, bytes, n, MSG_NOSIGNAL);
	dwell(seed, n_us);
	close(fd);
}

static void say_nothing(const char *path, uint64_t *seed, uint32_t n_us)
{
	int fd = raw_connect(path);

	dwell(seed, n_us);
	close(fd);
}

static void greet_wrongly(const char *path, uint64_t *seed, uint32_t n_us)
{
	struct abi_hello h = raw_hello();
	struct raw w;

	(void)n_us;
	((uint8_t *)&h)[hostile_random(seed, sizeof(h))] ^= (uint8_t)(1 + hostile_random(seed, 255));
	raw_open(&w, path, &h);
	raw_close(&w);
}

static struct gyre_sqe some_generate(struct raw *w, uint64_t *seed)
{
	uint32_t n = 1 + hostile_random(seed, hostile_random(seed, 2) ? 200 : 20000);

	memset(region_arena(&w->region), 'a' + (int)hostile_random(seed, 20), n);
	return (struct gyre_sqe){
		.opcode = GYRE_OP_GENERATE, .priority = 128, .flags = GYRE_SQE_IGNORE_EOS, .user_data = n, .data_len = n
	};
}

/* Killed while its prompt is read, computed, or answered; it never looks at its CQ. */
static void vanish(const char *path, uint64_t *seed, uint32_t n_us)
{
	struct abi_hello h = raw_hello();
	struct gyre_sqe sqe[4];
	struct raw w;

	h.cq_entries = 8u << hostile_random(seed, 6);
	if (raw_open(&w, path, &h) == 0) {
		for (int i = 0; i < 4; i++)
			sqe[i] = some_generate(&w, seed);
		raw_submit(&w, sqe, 1 + hostile_random(seed, 4));
		dwell(seed, n_us);
	}
	raw_close(&w);
}

/* Of a few names: chains, forks of what there is and of what there is not, in any order; kept for ever and pinned beyond any quota. */
static struct gyre_sqe some_relation(struct raw *w, uint64_t *seed)
{
	static const uint8_t op[] = { GYRE_OP_GENERATE, GYRE_OP_GENERATE, GYRE_OP_SCORE,  GYRE_OP_PREFILL,
				      GYRE_OP_PREFILL,  GYRE_OP_TOKENIZE, GYRE_OP_CANCEL, GYRE_OP_NOP };
	struct gyre_sqe sqe = some_generate(w, seed);
	bool is_bare;

	sqe.opcode = op[hostile_random(seed, sizeof(op))];
	is_bare = sqe.opcode == GYRE_OP_CANCEL || sqe.opcode == GYRE_OP_NOP;
	sqe.flags = hostile_random(seed, 2) ? GYRE_SQE_LINK : 0;
	sqe.user_data = hostile_random(seed, 6);
	sqe.max_tokens = sqe.opcode == GYRE_OP_GENERATE ? 1 + hostile_random(seed, 8) : 0;
	if (is_bare)
		sqe.data_len = 0;
	if (sqe.opcode == GYRE_OP_CANCEL)
		sqe.target = hostile_random(seed, 6);
	if (is_bare || sqe.opcode == GYRE_OP_TOKENIZE)
		return sqe;
	if (hostile_random(seed, 2)) {
		sqe.flags |= GYRE_SQE_FORK;
		sqe.target = hostile_random(seed, 6);
		sqe.split = hostile_random(seed, 3)   ? 0
			    : hostile_random(seed, 2) ? GYRE_FORK_PROMPT
						      : hostile_random(seed, 900);
		sqe.data_len = sqe.data_len % 64;
	}
	if (hostile_random(seed, 2)) {
		sqe.flags |= GYRE_SQE_KEEP;
		sqe.keep_ms = 1 + hostile_random(seed, hostile_random(seed, 2) ? 50 : GYRE_KEEP_MS_MAX);
		sqe.flags |= sqe.opcode != GYRE_OP_SCORE && hostile_random(seed, 2) ? GYRE_SQE_PIN : 0;
	}
	if (!hostile_random(seed, 8))
		sqe.deadline_ns = 1;
	return sqe;
}

static void go_on_from_anything(const char *path, uint64_t *seed, uint32_t n_us)
{
	struct abi_hello h = raw_hello();
	struct gyre_sqe sqe[64];
	struct raw w;

	h.cq_entries = 8u << hostile_random(seed, 8);
	if (raw_open(&w, path, &h) == 0) {
		for (uint32_t round = 0; round < 1 + hostile_random(seed, 4); round++) {
			for (int i = 0; i < 64; i++)
				sqe[i] = some_relation(&w, seed);
			raw_submit(&w, sqe, 1 + hostile_random(seed, 64));
			dwell(seed, n_us);
			store_release(&w.region.client->cq_head,
				      load_acquire(&w.region.daemon->cq_tail)); /* all read */
		}
	}
	raw_close(&w);
}

/* While the daemon reads the entries, they and the arena change. */
static void submit_noise(const char *path, uint64_t *seed, uint32_t n_us)
{
	struct abi_hello h = raw_hello();
	struct gyre_sqe sqe[64];
	struct raw w;

	(void)n_us;
	if (raw_open(&w, path, &h) == 0) {
		fill_random(seed, sqe, sizeof(sqe));
		for (int i = 0; i < 64; i += 1 + (int)hostile_random(seed, 2)) { /* most of them nearly right */
			sqe[i] = some_generate(&w, seed);
			sqe[i].opcode = (uint8_t)hostile_random(seed, 8);
			sqe[i].flags = (uint16_t)hostile_random(seed, 2048);
			sqe[i].opts_len = hostile_random(seed, 2) ? 64 : 0;
			sqe[i].split = hostile_random(seed, 100);
		}
		raw_submit(&w, sqe, 64);
		fill_random(seed, region_sqe(&w.region), 64 * sizeof(sqe[0]));
		fill_random(seed, region_arena(&w.region), 4096);
	}
	raw_close(&w);
}

static void lie(const char *path, uint64_t *seed, uint32_t n_us)
{
	struct abi_hello h = raw_hello();
	struct gyre_sqe sqe;
	struct raw w;

	if (raw_open(&w, path, &h) == 0) {
		sqe = some_generate(&w, seed);
		raw_submit(&w, &sqe, 1);
		dwell(seed, n_us);
		if (hostile_random(seed, 2))
			store_release(&w.region.client->sq_tail, hostile_random(seed, UINT32_MAX));
		else
			store_release(&w.region.client->cq_head, hostile_random(seed, UINT32_MAX));
		store_relaxed(&w.region.client->parked, hostile_random(seed, 4));
		doorbell_ring(w.event_fd);
		dwell(seed, n_us);
	}
	raw_close(&w);
}

void hostile_act(const char *path, uint64_t *seed, uint32_t n_us)
{
	static void (*const act[])(const char *, uint64_t *,
				   uint32_t) = { speak_garbage, say_nothing, greet_wrongly,      vanish,
						 submit_noise,  lie,         go_on_from_anything };

	act[hostile_random(seed, sizeof(act) / sizeof(act[0]))](path, seed, n_us);
}
