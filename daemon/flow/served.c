#include "daemon/flow/served.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"

#define TEXT_BYTES_PER_TOKEN 16u /* a prompt of more bytes than this per position cannot fit the context */
#define TEXT_BYTES_MIN       65536u
#define ARENA_ROOM           65536u /* beside the longest prompt: its options, and the next request */
#define PIECES               2u     /* of a token whose bytes fit one completion, with what was held back before it */

static uint32_t arena_for(uint32_t text_max)
{
	uint32_t bytes = min_u32(text_max, GYRE_ARENA_BYTES_MAX - ARENA_ROOM) + ARENA_ROOM;

	return max_u32(bytes, GYRE_ARENA_BYTES_DEFAULT);
}

void served_ring(const struct served *s)
{
	for (uint32_t i = 0; s && i < s->n_engine; i++)
		if (s->queue[i]->lock.is_shared) /* else it is its leader that rings */
			queue_ring(s->queue[i]);
}

uint32_t served_pin_default(const struct geometry *g)
{
	return g->n_kv / 4;
}

struct geometry served_geometry(uint32_t n_vocab, uint32_t n_ctx, uint32_t n_piece)
{
	struct geometry g = { .n_vocab = n_vocab, .n_ctx = n_ctx, .n_piece = n_piece ? n_piece : PIECES };

	g.text_max = n_ctx > TEXT_BYTES_MIN / TEXT_BYTES_PER_TOKEN ? n_ctx * TEXT_BYTES_PER_TOKEN : TEXT_BYTES_MIN;
	g.arena_bytes = arena_for(g.text_max);
	return g;
}

const char *served_state_name(enum served_state state)
{
	static const char *const name[SERVED_STATE_MAX] = { "none",   "loading", "ready", "leaving",
							    "asleep", "off",     "failed" };

	return name[state];
}

bool served_is_ready(const struct served *s)
{
	return load_acquire(&s->state) == SERVED_READY; /* pairs with set_state */
}

bool served_is_open(const struct served *s)
{
	uint32_t state = load_acquire(&s->state); /* pairs with set_state */

	return state == SERVED_READY || state == SERVED_LEAVING;
}
