/* Taking completions: peek, spin, park, and the signs that the daemon has died. */
#include "client/client.h"

#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A futex can't see a hang-up, so a parked client looks at the socket this often. Ten calls a second while idle. */
#define HANG_UP_CHECK_NS 100000000ull

static const struct gyre_cqe *cqe_at(const struct gyre *g, uint32_t counter)
{
	return &region_cqe(&g->region)[counter & (g->region.layout.cq_entries - 1)];
}

int gyre_peek_cqe(struct gyre *g, const struct gyre_cqe **cqe)
{
	uint32_t tail =
		load_acquire(&g->region.daemon->cq_tail); /* pairs with the store-release in cq_producer_commit */

	if (tail == g->cq_head)
		return -EAGAIN;
	*cqe = cqe_at(g, g->cq_head);
	return 0;
}

/* One sleep of at most timeout_ns. Parked is stored before the last look at cq_tail, which the futex itself takes. */
static int park_once(struct gyre *g, uint64_t timeout_ns)
{
	struct abi_client_page *mine = g->region.client;
	int res;

	store_relaxed(&mine->parked, GYRE_PARKED_FUTEX);
	fence(); /* pairs with the fence in doorbell_wake_client */
	res = doorbell_park(&g->region.daemon->cq_tail, g->cq_head, timeout_ns);
	store_relaxed(&mine->parked, g->parked_idle);
	return res;
}

/* Spins in slices, so that even a client that never parks notices that the daemon has gone. */
static bool spin_once(struct gyre *g, uint64_t left_ns)
{
	uint64_t slice_ns = g->spin_ns < HANG_UP_CHECK_NS ? g->spin_ns : HANG_UP_CHECK_NS;

	return doorbell_spin(&g->region.daemon->cq_tail, g->cq_head, slice_ns < left_ns ? slice_ns : left_ns);
}

static bool has_completion(const struct gyre *g)
{
	return load_acquire(&g->region.daemon->cq_tail) != g->cq_head; /* pairs with cq_producer_commit */
}

static int wait_until(struct gyre *g, uint64_t start_ns, uint64_t timeout_ns)
{
	for (;;) {
		uint64_t spent_ns = clock_ns() - start_ns, left_ns;
		int res = 0;

		if (spent_ns >= timeout_ns)
			return -ETIMEDOUT;
		left_ns = timeout_ns - spent_ns;
		if (spent_ns < g->spin_ns) {
			if (spin_once(g, left_ns))
				return 0;
		} else {
			res = park_once(g, left_ns < HANG_UP_CHECK_NS ? left_ns : HANG_UP_CHECK_NS);
		}
		if (has_completion(g))
			return 0;
		if (res == -EINTR)
			return res;
		/* Completions written before the death are delivered: the look at cq_tail comes after the look at the socket. */
		if (client_has_hung_up(g))
			return has_completion(g) ? 0 : -ECONNRESET;
	}
}

int gyre_wait_cqe(struct gyre *g, const struct gyre_cqe **cqe, uint64_t timeout_ns)
{
	int res = gyre_peek_cqe(g, cqe);

	if (res != -EAGAIN)
		return res;
	res = wait_until(g, clock_ns(), timeout_ns);
	return res ? res : gyre_peek_cqe(g, cqe);
}

void gyre_cqe_seen(struct gyre *g, const struct gyre_cqe *cqe)
{
	if (!(cqe->flags & GYRE_CQE_MORE) && g->n_inflight)
		g->n_inflight--;
	g->cq_head++;
	store_release(&g->region.client->cq_head, g->cq_head); /* pairs with the load-acquire in cq_producer_space */
}

static const uint8_t *result_slot(const struct gyre *g, const struct gyre_cqe *cqe)
{
	return region_result(&g->region, (uint32_t)(cqe - region_cqe(&g->region)));
}

const void *gyre_cqe_bytes(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n)
{
	bool is_long = cqe->flags & GYRE_CQE_EXT;
	size_t slot = cqe->flags & GYRE_CQE_TOP ? GYRE_RESULT_TEXT_BYTES : GYRE_RESULT_SLOT_BYTES;
	size_t max = is_long ? slot : GYRE_CQE_INLINE_BYTES;

	*n = cqe->n_bytes < max ? cqe->n_bytes : max;
	return is_long ? result_slot(g, cqe) : cqe->bytes;
}

const struct gyre_top *gyre_cqe_top(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n)
{
	*n = 0;
	if (!(cqe->flags & GYRE_CQE_TOP))
		return NULL;
	*n = cqe->n_top < GYRE_TOP_MAX ? cqe->n_top : GYRE_TOP_MAX;
	return (const struct gyre_top *)(result_slot(g, cqe) + GYRE_RESULT_TEXT_BYTES);
}

const uint32_t *gyre_cqe_ids(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n)
{
	size_t max = GYRE_RESULT_SLOT_BYTES / sizeof(uint32_t);

	*n = 0;
	if (!(cqe->flags & GYRE_CQE_EXT) || cqe->res < 0)
		return NULL;
	*n = (size_t)cqe->res < max ? (size_t)cqe->res : max;
	return (const uint32_t *)result_slot(g, cqe);
}

const float *gyre_cqe_floats(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n)
{
	return (const float *)(const void *)gyre_cqe_ids(g, cqe, n);
}

int gyre_event_fd(struct gyre *g)
{
	g->parked_idle = GYRE_PARKED_SOCKET;
	store_relaxed(&g->region.client->parked, GYRE_PARKED_SOCKET);
	fence(); /* before the caller's next peek; pairs with the fence in doorbell_wake_client */
	return g->socket_fd;
}

int gyre_event_clear(struct gyre *g)
{
	char byte[8];
	ssize_t n;

	do {
		n = recv(g->socket_fd, byte, sizeof(byte), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		fence(); /* before the caller's peek: a completion that arrives later sends another message */
		return 0;
	}
	g->has_hung_up = true;
	return -ECONNRESET;
}

/* The words of a request that failed take the place of what it said. */
static void put_words(const struct gyre *g, const struct gyre_cqe *cqe, char *out, size_t size)
{
	size_t n;
	const void *bytes = gyre_cqe_bytes(g, cqe, &n);

	n = cqe->flags & GYRE_CQE_HALF ? 0 : n < size - 1 ? n : size - 1;
	memcpy(out, bytes, n);
	out[n] = 0;
}

/* Reads completions of the one request until its last. */
static ssize_t collect_text(struct gyre *g, char *out, size_t size)
{
	size_t total = 0, n;

	for (;;) {
		const struct gyre_cqe *cqe;
		const void *bytes;
		bool is_last;
		int res = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE);

		if (res == -EINTR)
			continue;
		if (res) {
			*out = 0;
			return res;
		}
		bytes = gyre_cqe_bytes(g, cqe, &n);
		if (cqe->res < 0)
			put_words(g, cqe, out, size);
		else if (total < size - 1)
			memcpy(out + total, bytes, n < size - 1 - total ? n : size - 1 - total);
		total += n;
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		res = cqe->res;
		gyre_cqe_seen(g, cqe);
		if (res < 0)
			return res;
		if (is_last)
			break;
	}
	out[total < size - 1 ? total : size - 1] = 0;
	return (ssize_t)total;
}

ssize_t gyre_generate(struct gyre *g, const char *prompt, const struct gyre_options *o, uint32_t max_tokens, char *out,
		      size_t size)
{
	struct gyre_sqe *sqe;
	int res;

	if (!size)
		return -EINVAL;
	*out = 0;
	if (o && (o->n_bias || o->n_stop))
		return -EINVAL;
	if (g->n_inflight || g->sq_tail != g->sq_submitted)
		return -EBUSY;
	sqe = gyre_get_sqe(g);
	if (!sqe)
		return -EAGAIN;
	res = gyre_prep_generate(g, sqe, prompt, strlen(prompt), max_tokens);
	if (!res && o)
		res = gyre_sqe_set_options(g, sqe, o, NULL, NULL);
	if (res) {
		gyre_unget_sqe(g);
		return res;
	}
	res = gyre_submit(g);
	return res < 0 ? res : collect_text(g, out, size);
}
