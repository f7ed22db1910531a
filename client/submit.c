/* Preparing and submitting entries, and the arena that their prompts and options lie in. */
#include "client/client.h"

#include "shm/atomic.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <string.h>

#define PRIORITY_DEFAULT 128
#define ARENA_ALIGN      8u
#define MESSAGE_ALIGN    8u /* struct gyre_message */

static uint32_t padded4(size_t n)
{
	return ((uint32_t)n + 3) & ~3u;
}

/* How far the daemon has come. A head that we never submitted is a broken daemon: believe nothing new. */
static uint32_t sq_taken(const struct gyre *g)
{
	uint32_t head =
		load_acquire(&g->region.daemon->sq_head); /* pairs with the store-release in sq_consumer_commit */

	return head - g->sq_freed <= g->sq_submitted - g->sq_freed ? head : g->sq_freed;
}

static void arena_reclaim(struct gyre *g)
{
	uint32_t taken = sq_taken(g);

	for (; g->sq_freed != taken; g->sq_freed++)
		g->arena_freed = g->arena_mark[g->sq_freed & (g->region.layout.sq_entries - 1)];
}

struct gyre_sqe *gyre_get_sqe(struct gyre *g)
{
	uint32_t entries = g->region.layout.sq_entries;
	struct gyre_sqe *sqe;

	if (g->sq_tail - g->sq_freed >= entries)
		arena_reclaim(g);
	if (g->sq_tail - g->sq_freed >= entries)
		return NULL;
	sqe = &region_sqe(&g->region)[g->sq_tail++ & (entries - 1)];
	*sqe = (struct gyre_sqe){ .opcode = GYRE_OP_NOP, .priority = PRIORITY_DEFAULT };
	if (g->welcome.limits.priority > PRIORITY_DEFAULT)
		sqe->priority = (uint8_t)g->welcome.limits.priority;
	return sqe;
}

/* Where the arena's bytes in use end, but for those of entries not yet submitted. */
static uint64_t arena_submitted(const struct gyre *g)
{
	if (g->sq_freed == g->sq_submitted)
		return g->arena_freed;
	return g->arena_mark[(g->sq_submitted - 1) & (g->region.layout.sq_entries - 1)];
}

void gyre_unget_sqe(struct gyre *g)
{
	if (g->sq_tail == g->sq_submitted)
		return;
	g->sq_tail--;
	if (g->sq_tail == g->sq_submitted) /* before that, no entry is known to own them */
		g->arena_alloc = arena_submitted(g);
}

/* A piece never wraps: where the rest of the arena is too short, it is skipped, and freed along with the piece. */
void *gyre_arena_alloc(struct gyre *g, size_t n)
{
	uint64_t size = g->region.layout.arena_bytes, at, need;

	if (n > size)
		return NULL;
	arena_reclaim(g);
	/* Nothing in use: start over at offset 0, so that whatever fits an empty arena fits now. */
	if (g->arena_freed == g->arena_alloc && g->sq_freed == g->sq_submitted)
		g->arena_freed = g->arena_alloc = (g->arena_alloc + size - 1) / size * size;
	need = n ? (n + ARENA_ALIGN - 1) & ~(uint64_t)(ARENA_ALIGN - 1) : ARENA_ALIGN;
	at = g->arena_alloc;
	if (at % size + need > size)
		at += size - at % size;
	if (at + need - g->arena_freed > size)
		return NULL;
	g->arena_alloc = at + need;
	return region_arena(&g->region) + at % size;
}

static int arena_full_errno(const struct gyre *g, size_t n)
{
	return n > g->region.layout.arena_bytes ? -EMSGSIZE : -EAGAIN;
}

/* The offset of data in the arena, to which it is copied unless it lies there. */
static int64_t arena_offset(struct gyre *g, const void *data, size_t n)
{
	const uint8_t *arena = region_arena(&g->region);
	uintptr_t off = (uintptr_t)data - (uintptr_t)arena; /* huge for what lies below */
	uint8_t *copy;

	if (off < g->region.layout.arena_bytes && n <= g->region.layout.arena_bytes - off)
		return (int64_t)off;
	copy = gyre_arena_alloc(g, n);
	if (!copy)
		return arena_full_errno(g, n);
	if (n)
		memcpy(copy, data, n);
	return copy - arena;
}

static int prep_data(struct gyre *g, struct gyre_sqe *sqe, enum gyre_op op, const void *data, size_t n)
{
	int64_t off = arena_offset(g, data, n);

	if (off < 0)
		return (int)off;
	sqe->opcode = (uint8_t)op;
	sqe->data_off = (uint32_t)off;
	sqe->data_len = (uint32_t)n;
	return 0;
}

void gyre_prep_nop(struct gyre_sqe *sqe)
{
	sqe->opcode = GYRE_OP_NOP;
}

int gyre_prep_generate(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n, uint32_t max_tokens)
{
	int res = prep_data(g, sqe, GYRE_OP_GENERATE, data, n);

	if (!res)
		sqe->max_tokens = max_tokens;
	return res;
}

int gyre_prep_score(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n, size_t split)
{
	int res = split > n ? -EINVAL : prep_data(g, sqe, GYRE_OP_SCORE, data, n);

	if (!res)
		sqe->split = (uint32_t)split;
	return res;
}

int gyre_prep_prefill(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n)
{
	return prep_data(g, sqe, GYRE_OP_PREFILL, data, n);
}

void gyre_sqe_set_fork(struct gyre_sqe *sqe, uint64_t target, uint32_t at)
{
	sqe->flags |= GYRE_SQE_FORK;
	sqe->target = target;
	sqe->split = at;
}

void gyre_sqe_set_keep(struct gyre_sqe *sqe, uint32_t keep_ms)
{
	sqe->flags |= GYRE_SQE_KEEP;
	sqe->keep_ms = keep_ms;
}

int gyre_prep_pin(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n, uint32_t keep_ms)
{
	int res = gyre_prep_prefill(g, sqe, data, n);

	if (res)
		return res;
	gyre_sqe_set_keep(sqe, keep_ms);
	sqe->flags |= GYRE_SQE_PIN;
	return 0;
}

void gyre_prep_unpin(struct gyre_sqe *sqe, uint64_t user_data)
{
	gyre_prep_cancel(sqe, user_data);
}

int gyre_prep_fork(struct gyre *g, struct gyre_sqe *sqe, uint64_t target, uint32_t at, const void *data, size_t n,
		   uint32_t max_tokens)
{
	int res = gyre_prep_generate(g, sqe, data, n, max_tokens);

	if (!res)
		gyre_sqe_set_fork(sqe, target, at);
	return res;
}

int gyre_prep_score_fork(struct gyre *g, struct gyre_sqe *sqe, uint64_t target, uint32_t at, const void *data, size_t n)
{
	int res = prep_data(g, sqe, GYRE_OP_SCORE, data, n);

	if (!res)
		gyre_sqe_set_fork(sqe, target, at);
	return res;
}

int gyre_prep_embed(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n)
{
	return prep_data(g, sqe, GYRE_OP_EMBED, data, n);
}

int gyre_prep_tokenize(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n)
{
	return prep_data(g, sqe, GYRE_OP_TOKENIZE, data, n);
}

int gyre_prep_detokenize(struct gyre *g, struct gyre_sqe *sqe, const uint32_t *id, size_t n)
{
	return n > GYRE_ARENA_BYTES_MAX / sizeof(*id) ? -EMSGSIZE
						      : prep_data(g, sqe, GYRE_OP_DETOKENIZE, id, n * sizeof(*id));
}

void gyre_prep_cancel(struct gyre_sqe *sqe, uint64_t user_data)
{
	sqe->opcode = GYRE_OP_CANCEL;
	sqe->target = user_data;
}

/* Bytes that the options take in the arena, or -EINVAL. */
static int64_t options_bytes(const struct gyre_options *o, const char *const *stop)
{
	int64_t bytes = sizeof(*o) + (int64_t)o->n_bias * (int64_t)sizeof(struct gyre_bias);

	if (o->n_bias > GYRE_BIAS_MAX || o->n_stop > GYRE_STOP_MAX || o->n_top > GYRE_TOP_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < o->n_stop; i++) {
		size_t n = strnlen(stop[i], GYRE_STOP_BYTES_MAX + 1);

		if (n == 0 || n > GYRE_STOP_BYTES_MAX)
			return -EINVAL;
		bytes += 4 + padded4(n);
	}
	return bytes;
}

int gyre_sqe_set_options(struct gyre *g, struct gyre_sqe *sqe, const struct gyre_options *o,
			 const struct gyre_bias *bias, const char *const *stop)
{
	struct gyre_options header = *o;
	int64_t bytes = options_bytes(o, stop);
	uint8_t *at, *start;

	if (bytes < 0)
		return (int)bytes;
	start = at = gyre_arena_alloc(g, (size_t)bytes);
	if (!at)
		return arena_full_errno(g, (size_t)bytes);
	memset(start, 0, (size_t)bytes);
	header.size = sizeof(header);
	at = (uint8_t *)memcpy(at, &header, sizeof(header)) + sizeof(header);
	if (o->n_bias)
		at = (uint8_t *)memcpy(at, bias, o->n_bias * sizeof(*bias)) + o->n_bias * sizeof(*bias);
	for (uint32_t i = 0; i < o->n_stop; i++) {
		uint32_t n = (uint32_t)strlen(stop[i]);

		memcpy(at, &n, sizeof(n));
		memcpy(at + 4, stop[i], n);
		at += 4 + padded4(n);
	}
	sqe->opts_off = (uint32_t)(start - region_arena(&g->region));
	sqe->opts_len = (uint32_t)bytes;
	return 0;
}

static void put(struct gyre_chat *c, const void *bytes, size_t n)
{
	if (n)
		memcpy((uint8_t *)c->data + c->n, bytes, n);
	c->n += n;
}

int gyre_chat_append_json(struct gyre_chat *c, enum gyre_role role, const char *text, size_t n, const char *json,
			  size_t n_json)
{
	static const uint8_t zero[MESSAGE_ALIGN];
	const struct gyre_message head = { (uint32_t)role, (uint32_t)n, (uint32_t)n_json, 0 };
	size_t used, padding;

	if (n > GYRE_ARENA_BYTES_MAX || n_json > GYRE_ARENA_BYTES_MAX || c->n % MESSAGE_ALIGN || c->n > c->size)
		return -EINVAL;
	used = sizeof(head) + n + n_json;
	padding = (MESSAGE_ALIGN - used % MESSAGE_ALIGN) % MESSAGE_ALIGN;
	if (c->size - c->n < used + padding)
		return -ENOBUFS;
	put(c, &head, sizeof(head));
	put(c, text, n);
	put(c, json, n_json);
	put(c, zero, padding);
	return 0;
}

int gyre_chat_append(struct gyre_chat *c, enum gyre_role role, const char *text, size_t n)
{
	return gyre_chat_append_json(c, role, text, n, NULL, 0);
}

int gyre_chat_set_variables(struct gyre_chat *c, const char *json, size_t n_json)
{
	return c->n ? -EINVAL : gyre_chat_append_json(c, GYRE_ROLE_VARIABLES, NULL, 0, json, n_json);
}

/*
 * Arena bytes belong to the batch: its last entry frees them all. Marks of the others repeat the batch before, since the
 * order of allocation need not be that of the entries.
 */
static void arena_mark_batch(struct gyre *g)
{
	uint32_t mask = g->region.layout.sq_entries - 1;
	uint64_t before = arena_submitted(g);

	for (uint32_t i = g->sq_submitted; i != g->sq_tail; i++)
		g->arena_mark[i & mask] = before;
	g->arena_mark[(g->sq_tail - 1) & mask] = g->arena_alloc;
}

int gyre_submit(struct gyre *g)
{
	uint32_t n = g->sq_tail - g->sq_submitted;
	int res;

	if (!n)
		return 0;
	arena_mark_batch(g);
	region_sqe(&g->region)[(g->sq_tail - 1) & (g->region.layout.sq_entries - 1)].flags &= (uint16_t)~GYRE_SQE_LINK;
	g->sq_submitted = g->sq_tail;
	g->n_inflight += n;
	store_release(&g->region.client->sq_tail, g->sq_tail); /* pairs with the load-acquire in sq_consumer_load */
	if (doorbell_is_needed(g->region.daemon)) {
		res = doorbell_ring(g->event_fd);
		if (res)
			return res;
	}
	return (int)n;
}
