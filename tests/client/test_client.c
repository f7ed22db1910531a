/*
 * Why it matters: libgyre is what programs link for years. Its verbs must keep their errno, hand out no arena byte that the
 * daemon may still read, lose no wake-up, and notice a daemon that dies. A small daemon in a thread of this process, made of
 * the real shm/ functions, takes the other end and can be told to stand still, to sleep, or to vanish.
 */
#include "client/gyre.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"
#include "shm/region.h"
#include "shm/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define STATS  "{\"requests\":1}"

enum mode { MODE_SERVE, MODE_HOLD, MODE_DIE };

struct fake {
	char path[64];
	pthread_t thread;
	int listen_fd, conn_fd, event_fd;
	uint32_t mode;
	uint32_t n_slept;
	int32_t refuse; /* answer hello with this */
	bool is_mute;   /* never answer */
	int n_hang_up;  /* hellos that are not answered before one is: by a predecessor that ends */
	struct region region;
	struct sq_consumer sq;
	struct cq_producer cq;
};

static void send_welcome(struct fake *f)
{
	struct abi_welcome w = { .magic = GYRE_ABI_MAGIC,
				 .version = GYRE_ABI_VERSION,
				 .layout_hash = abi_layout_hash() };
	int fds[3] = { f->region.client_fd, f->region.daemon_fd, f->event_fd };
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { &w, sizeof(w) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	w.res = f->refuse;
	w.n_ctx = 2048;
	w.n_vocab = 1000;
	w.has_chat = 1;
	strcpy(w.model, "fake");
	strcpy(w.title, "a fake model");
	w.limits.n_session = 7;
	strcpy(w.text, f->refuse ? "too many sessions: raise max_sessions" : "");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	if (f->refuse)
		msg.msg_control = NULL, msg.msg_controllen = 0;
	sendmsg(f->conn_fd, &msg, MSG_NOSIGNAL);
}

/* Echoes the prompt back, a byte a completion; the last completion is empty. */
static bool answer(struct fake *f, const struct gyre_sqe *sqe, uint32_t *i)
{
	uint32_t n = sqe->opcode == GYRE_OP_GENERATE ? sqe->data_len : 0;
	uint8_t *result;

	for (; *i <= n; ++*i) {
		struct gyre_cqe *cqe = cq_producer_space(&f->cq) > 0 ? cq_producer_reserve(&f->cq, &result) : NULL;

		if (!cqe)
			return false;
		cqe->user_data = sqe->user_data;
		if (*i < n) {
			cqe->flags = GYRE_CQE_MORE;
			region_read_arena(&f->region, sqe->data_off + *i, cqe->bytes, 1);
			cqe->n_bytes = 1;
		} else if (sqe->opcode == GYRE_OP_TOKENIZE) {
			cqe->flags = GYRE_CQE_EXT;
			cqe->res = 2;
			memcpy(result, (uint32_t[]){ 11, 22 }, 8);
		}
		cq_producer_commit(&f->cq);
		if (doorbell_wake_client(f->region.client, f->region.daemon) == GYRE_PARKED_SOCKET)
			send(f->conn_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	return true;
}

static bool answer_query(struct fake *f)
{
	struct abi_query q;
	ssize_t n = recv(f->conn_fd, &q, sizeof(q), MSG_DONTWAIT);

	if (n >= (ssize_t)offsetof(struct abi_query, name) && q.magic == ABI_QUERY_MAGIC) /* its name may be missing */
		send(f->conn_fd, STATS, strlen(STATS), MSG_NOSIGNAL);
	return n != 0;
}

static void sleep_until_rung(struct fake *f)
{
	struct pollfd p[2] = { { .fd = f->event_fd, .events = POLLIN }, { .fd = f->conn_fd, .events = POLLIN } };
	uint64_t count;

	doorbell_arm(f->region.daemon);
	if (sq_consumer_load(&f->sq) == 0) {
		poll(p, 2, 20);
		f->n_slept++;
		if (p[0].revents && read(f->event_fd, &count, sizeof(count)) < 0)
			abort();
	}
	doorbell_disarm(f->region.daemon);
}

static void serve(struct fake *f)
{
	struct gyre_sqe sqe;
	bool has_sqe = false;
	uint32_t i = 0, mode;

	while ((mode = load_acquire(&f->mode)) != MODE_DIE && answer_query(f)) {
		if (mode == MODE_HOLD) {
			sched_yield();
			continue;
		}
		if (!has_sqe && sq_consumer_load(&f->sq) > 0 && sq_consumer_peek(&f->sq, &sqe)) {
			has_sqe = true;
			i = 0;
		}
		if (!has_sqe) {
			sleep_until_rung(f);
		} else if (answer(f, &sqe, &i)) {
			has_sqe = false;
			sq_consumer_advance(&f->sq);
			sq_consumer_commit(&f->sq);
		} else {
			sched_yield();
		}
	}
}

static void *fake_main(void *arg)
{
	struct fake *f = arg;
	struct region_layout l;
	struct abi_hello hello;

	f->conn_fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	for (; f->conn_fd >= 0 && f->n_hang_up; f->n_hang_up--) {
		close(f->conn_fd);
		f->conn_fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	}
	if (f->conn_fd < 0 || recv(f->conn_fd, &hello, sizeof(hello), 0) != sizeof(hello))
		return NULL;
	if (f->is_mute) {
		while (load_acquire(&f->mode) != MODE_DIE)
			sched_yield();
	} else if (region_layout_init(&l, hello.sq_entries, hello.cq_entries, hello.arena_bytes) == 0 &&
		   region_create(&f->region, &l) == 0) {
		f->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		sq_consumer_init(&f->sq, &f->region);
		cq_producer_init(&f->cq, &f->region);
		send_welcome(f);
		if (!f->refuse)
			serve(f);
		close(f->event_fd);
		region_deinit(&f->region);
	}
	close(f->conn_fd);
	return NULL;
}

static void fake_start(struct fake *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(f->path, sizeof(f->path), "/tmp/gyre-test-client-%d.sock", getpid());
	unlink(f->path);
	memcpy(sa.sun_path, f->path, sizeof(f->path));
	f->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(f->listen_fd, 1), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

static void fake_stop(struct fake *f)
{
	store_release(&f->mode, MODE_DIE);
	pthread_join(f->thread, NULL);
	close(f->listen_fd);
	unlink(f->path);
}

static struct gyre *begin(struct fake *f, uint32_t sq, uint32_t cq)
{
	char why[256] = "";
	struct gyre_params p = { .sq_entries = sq,
				 .cq_entries = cq,
				 .arena_bytes = GYRE_ARENA_BYTES_MIN,
				 .error = why,
				 .error_bytes = 256 };
	struct gyre *g;

	memset(f, 0, sizeof(*f));
	fake_start(f);
	if (gyre_connect(&g, f->path, &p) < 0)
		fail_msg("%s", why);
	return g;
}

static void end(struct fake *f, struct gyre *g)
{
	gyre_close(g);
	fake_stop(f);
}

static void test_info_and_generate(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 0, 0);
	struct gyre_options o = { .temperature = 1 };
	struct gyre_info info;
	char out[64];

	(void)state;
	gyre_info(g, &info);
	assert_string_equal(info.name, "fake");
	assert_string_equal(info.model, "a fake model");
	assert_int_equal(info.limits.n_session, 7);
	assert_int_equal(info.n_ctx, 2048);
	assert_int_equal(info.sq_entries, 64);
	assert_int_equal(gyre_generate(g, "hello", NULL, 0, out, sizeof(out)), 5);
	assert_string_equal(out, "hello");
	assert_int_equal(gyre_generate(g, "truncate", &o, 0, out, 4), 8);
	assert_string_equal(out, "tru");
	for (int i = 0; i < 300; i++) /* wraps both rings */
		assert_int_equal(gyre_generate(g, "x", NULL, 0, out, sizeof(out)), 1);
	gyre_get_sqe(g);
	assert_int_equal(gyre_generate(g, "x", NULL, 0, out, sizeof(out)), -EBUSY);
	end(&f, g);
}

static void test_refusal_has_words(void **state)
{
	struct fake f = { .refuse = -EUSERS };
	char why[256] = "";
	struct gyre_params p = { .error = why, .error_bytes = sizeof(why) };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, &p), -EUSERS);
	assert_string_equal(why, "too many sessions: raise max_sessions");
	assert_null(g);
	fake_stop(&f);
	assert_int_equal(gyre_connect(&g, "/nonexistent/gyre.sock", &p), -ENOENT);
	assert_non_null(strstr(why, "GYRE_SOCKET"));
	memset(why, 'x', sizeof(why) - 1);
	assert_int_equal(gyre_connect(&g, why, NULL), -ENAMETOOLONG);
}

static void test_mute_daemon_times_out(void **state)
{
	struct fake f = { .is_mute = true };
	struct gyre_params p = { .connect_timeout_ms = 50 };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, &p), -ETIMEDOUT);
	fake_stop(&f);
}

/* A daemon that is replaced behind its socket may have taken a connection that it does not answer. */
static void test_successor_is_asked_once(void **state)
{
	struct fake f = { .n_hang_up = 1 };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, NULL), 0);
	gyre_close(g);
	fake_stop(&f);
	f = (struct fake){ .n_hang_up = 3 };
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, NULL), -ECONNRESET);
	assert_int_equal(gyre_connect(&g, f.path, NULL), 0); /* the third, and then one that answers */
	gyre_close(g);
	fake_stop(&f);
}

static void test_full_sq(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 2, 4);
	struct gyre_sqe *a, *b;
	const struct gyre_cqe *cqe;

	(void)state;
	store_release(&f.mode, MODE_HOLD);
	a = gyre_get_sqe(g);
	b = gyre_get_sqe(g);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(a->priority, 128);
	assert_null(gyre_get_sqe(g));
	gyre_unget_sqe(g);
	assert_ptr_equal(gyre_get_sqe(g), b);
	a->user_data = 1;
	b->user_data = 2;
	assert_int_equal(gyre_submit(g), 2);
	assert_int_equal(gyre_submit(g), 0);
	assert_null(gyre_get_sqe(g));
	assert_int_equal(gyre_peek_cqe(g, &cqe), -EAGAIN);
	store_release(&f.mode, MODE_SERVE);
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
		assert_int_equal(cqe->user_data, i);
		gyre_cqe_seen(g, cqe);
	}
	end(&f, g);
}

/* Until the daemon has taken a batch, none of its bytes is handed out again; afterwards all are, at any wrap. */
static void test_arena_wrap(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;
	char *first;

	(void)state;
	store_release(&f.mode, MODE_HOLD);
	first = gyre_arena_alloc(g, 40000);
	assert_non_null(first);
	assert_int_equal((uintptr_t)first % 8, 0);
	assert_null(gyre_arena_alloc(g, 40000));
	assert_null(gyre_arena_alloc(g, GYRE_ARENA_BYTES_MIN + 1));
	assert_int_equal(gyre_prep_tokenize(g, gyre_get_sqe(g), first, 40000), 0);
	gyre_submit(g);
	assert_null(gyre_arena_alloc(g, 40000));
	store_release(&f.mode, MODE_SERVE);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
	gyre_cqe_seen(g, cqe);
	for (int i = 0; i < 100; i++) {
		size_t n = (size_t)(i * 7919 % 60000) + 1;
		char *p;

		while (!(p = gyre_arena_alloc(g, n))) /* sq_head may trail the completion */
			sched_yield();
		memset(p, i, n);
		assert_int_equal(gyre_prep_tokenize(g, gyre_get_sqe(g), p, n), 0);
		assert_int_equal(gyre_submit(g), 1);
		assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
		gyre_cqe_seen(g, cqe);
	}
	end(&f, g);
}

static void test_prep_errors(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	static char big[GYRE_ARENA_BYTES_MIN + 1];
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	(void)state;
	assert_int_equal(gyre_prep_generate(g, sqe, big, sizeof(big), 1), -EMSGSIZE);
	assert_int_equal(sqe->opcode, GYRE_OP_NOP);
	assert_int_equal(gyre_prep_generate(g, sqe, big, 60000, 1), 0);
	assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), big, 60000, 1), -EAGAIN);
	assert_int_equal(gyre_prep_score(g, sqe, "abc", 3, 4), -EINVAL);
	assert_int_equal(gyre_prep_score(g, sqe, "abc", 3, 2), 0);
	assert_int_equal(sqe->split, 2);
	gyre_prep_cancel(sqe, 77);
	assert_int_equal(sqe->opcode, GYRE_OP_CANCEL);
	assert_int_equal(sqe->target, 77);
	end(&f, g);
}

/* An entry that is given back gives back its bytes: else a prompt that leaves no room for options would use up the session. */
static void test_unget_frees_the_arena(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	static char big[GYRE_ARENA_BYTES_MIN - 8];
	const struct gyre_options o = { .temperature = 1 };
	char out[64];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(gyre_generate(g, big, &o, 0, out, sizeof(out)), -EAGAIN);
		assert_int_equal(gyre_generate(g, "hello", &o, 0, out, sizeof(out)), 5);
	}
	assert_non_null(gyre_get_sqe(g));
	assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), big, 40000, 1), 0);
	gyre_unget_sqe(g);
	assert_null(gyre_arena_alloc(g, 40000)); /* may be the other entry's */
	gyre_unget_sqe(g);
	assert_non_null(gyre_arena_alloc(g, 40000));
	end(&f, g);
}

static void test_options(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const char *const stop[] = { "\n\n", "STOP" }, *const empty[] = { "" };
	const struct gyre_bias bias = { .token = 5, .bias = -1 };
	struct gyre_options o = { .n_stop = 2, .n_bias = 1, .reserved = { 9, 9 } }, *in_arena;
	char *base = gyre_arena_alloc(g, 8); /* the arena's first piece: offset 0 */
	uint32_t n;

	(void)state;
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, &bias, stop), 0);
	assert_int_equal(sqe->opts_len, 64 + 8 + (4 + 4) + (4 + 4));
	assert_int_equal(sqe->opts_off % 8, 0);
	in_arena = (struct gyre_options *)(base + sqe->opts_off);
	assert_int_equal(in_arena->size, 64);
	assert_int_equal(in_arena->reserved[0], 0);
	assert_memory_equal(in_arena + 1, &bias, sizeof(bias));
	memcpy(&n, (char *)(in_arena + 1) + 8, 4);
	assert_int_equal(n, 2);
	assert_memory_equal((char *)(in_arena + 1) + 20, "STOP", 4);
	o.n_stop = 1;
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, &bias, empty), -EINVAL);
	o.n_stop = GYRE_STOP_MAX + 1;
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, &bias, stop), -EINVAL);
	o = (struct gyre_options){ .n_top = GYRE_TOP_MAX + 1 };
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, NULL, NULL), -EINVAL);
	end(&f, g);
}

/* The layout that a daemon reads: header, text, JSON, zeroes up to a multiple of 8. */
static void test_chat(void **state)
{
	uint32_t space[20];
	struct gyre_chat c = { .data = space, .size = sizeof(space) };
	struct gyre_message head;

	(void)state;
	memset(space, 0xff, sizeof(space));
	assert_int_equal(gyre_chat_set_variables(&c, "{\"a\":1}", 7), 0);
	assert_int_equal(c.n, 24);
	memcpy(&head, space, sizeof(head));
	assert_int_equal(head.role, GYRE_ROLE_VARIABLES);
	assert_int_equal(head.n_text, 0);
	assert_int_equal(head.n_json, 7);
	assert_int_equal(head.reserved, 0);
	assert_memory_equal(space + 4, "{\"a\":1}", 8);
	assert_int_equal(gyre_chat_set_variables(&c, "{}", 2), -EINVAL); /* there are some */
	assert_int_equal(gyre_chat_append_json(&c, GYRE_ROLE_TOOL, "hello", 5, "{}", 2), 0);
	assert_int_equal(c.n, 48);
	memcpy(&head, space + 6, sizeof(head));
	assert_int_equal(head.role, GYRE_ROLE_TOOL);
	assert_int_equal(head.n_text, 5);
	assert_int_equal(head.n_json, 2);
	assert_memory_equal(space + 10, "hello{}", 8);
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "seventeen letters", 17), -ENOBUFS);
	assert_int_equal(c.n, 48);
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "sixteen letters.", 16), 0);
	assert_int_equal(c.n, 80);
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "", 0), -ENOBUFS);
	assert_int_equal(gyre_chat_append_json(&c, GYRE_ROLE_USER, NULL, (size_t)-8, NULL, 0), -EINVAL);
	assert_int_equal(gyre_chat_append_json(&c, GYRE_ROLE_USER, NULL, 0, NULL, (size_t)-8), -EINVAL);
	c.n = 4;
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "", 0), -EINVAL);
}

static void test_tokenize_ids(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;
	const uint32_t *ids;
	size_t n;

	(void)state;
	assert_int_equal(gyre_prep_tokenize(g, gyre_get_sqe(g), "ab", 2), 0);
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
	ids = gyre_cqe_ids(g, cqe, &n);
	assert_int_equal(n, 2);
	assert_int_equal(ids[0], 11);
	assert_int_equal(ids[1], 22);
	assert_null(gyre_cqe_top(g, cqe, &n));
	assert_int_equal(n, 0);
	gyre_cqe_seen(g, cqe);
	end(&f, g);
}

static void test_wait_times_out(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;
	uint64_t start_ns = clock_ns();

	(void)state;
	assert_int_equal(gyre_wait_cqe(g, &cqe, 0), -ETIMEDOUT);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 30000000), -ETIMEDOUT);
	assert_true(clock_ns() - start_ns >= 30000000);
	end(&f, g);
}

static void *serve_soon(void *arg)
{
	usleep(10000);
	store_release(&((struct fake *)arg)->mode, MODE_SERVE);
	return NULL;
}

/* A client that sleeps is woken, and does not find the completion when it next looks for a hang-up. */
static void test_sleeper_is_woken(void **state)
{
	const struct gyre_params p = { .spin_ns = 1 };
	uint64_t best_ns = UINT64_MAX;
	struct fake f = { .mode = MODE_HOLD };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, &p), 0);
	for (int i = 0; i < 300 && best_ns >= SECOND / 12; i++) { /* until one is in time */
		const struct gyre_cqe *cqe;
		uint64_t begin_ns = clock_ns(), spent_ns;
		pthread_t thread;

		store_release(&f.mode, MODE_HOLD);
		gyre_prep_nop(gyre_get_sqe(g));
		gyre_submit(g);
		pthread_create(&thread, NULL, serve_soon, &f);
		assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
		spent_ns = clock_ns() - begin_ns;
		best_ns = spent_ns < best_ns ? spent_ns : best_ns;
		gyre_cqe_seen(g, cqe);
		pthread_join(thread, NULL);
	}
	assert_true(best_ns < SECOND / 12);
	end(&f, g);
}

static void test_death_is_noticed(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;

	(void)state;
	gyre_get_sqe(g);
	gyre_submit(g);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
	store_release(&f.mode, MODE_DIE);
	pthread_join(f.thread, NULL);
	assert_int_equal(gyre_peek_cqe(g, &cqe), 0); /* what it had written is still delivered */
	gyre_cqe_seen(g, cqe);
	assert_int_equal(gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE), -ECONNRESET);
	assert_int_equal(gyre_event_clear(g), -ECONNRESET);
	gyre_close(g);
	close(f.listen_fd);
	unlink(f.path);
}

static void test_event_fd(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	struct pollfd p = { .fd = gyre_event_fd(g), .events = POLLIN };
	const struct gyre_cqe *cqe;

	(void)state;
	assert_int_equal(gyre_peek_cqe(g, &cqe), -EAGAIN);
	assert_int_equal(poll(&p, 1, 0), 0);
	for (int i = 0; i < 20; i++) {
		gyre_get_sqe(g);
		gyre_submit(g);
		assert_int_equal(poll(&p, 1, 300000), 1);
		assert_int_equal(gyre_event_clear(g), 0);
		assert_int_equal(gyre_peek_cqe(g, &cqe), 0);
		gyre_cqe_seen(g, cqe);
	}
	end(&f, g);
}

static void test_query_stats(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	char text[64];

	(void)state;
	assert_int_equal(gyre_query_stats(g, text, sizeof(text)), strlen(STATS));
	assert_string_equal(text, STATS);
	assert_int_equal(gyre_query_stats(g, text, 4), -ENOBUFS);
	end(&f, g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info_and_generate),
		cmocka_unit_test(test_refusal_has_words),
		cmocka_unit_test(test_mute_daemon_times_out),
		cmocka_unit_test(test_successor_is_asked_once),
		cmocka_unit_test(test_full_sq),
		cmocka_unit_test(test_arena_wrap),
		cmocka_unit_test(test_prep_errors),
		cmocka_unit_test(test_unget_frees_the_arena),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_chat),
		cmocka_unit_test(test_tokenize_ids),
		cmocka_unit_test(test_wait_times_out),
		cmocka_unit_test(test_sleeper_is_woken),
		cmocka_unit_test(test_death_is_noticed),
		cmocka_unit_test(test_event_fd),
		cmocka_unit_test(test_query_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
