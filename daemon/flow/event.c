#include "daemon/flow/event.h"
#include "daemon/flow/request.h"
#include "daemon/util/counter.h"

void event_set_level(struct event_ring *ring, enum event_level level, uint64_t slow_ns)
{
	store_relaxed64(&ring->slow_ns, slow_ns);
	store_relaxed(&ring->level, level);
}

void event_put(struct event_ring *ring, const struct event *e)
{
	uint64_t n = ring->tail - load_acquire64(&ring->head); /* pairs with event_take */

	if (n >= EVENT_RING_MAX) {
		counter_add(&ring->n_dropped, 1);
		return;
	}
	ring->event[ring->tail & (EVENT_RING_MAX - 1)] = *e;
	store_release64(&ring->tail, ring->tail + 1); /* pairs with event_take */
}

bool event_take(struct event_ring *ring, struct event *e)
{
	if (ring->head == load_acquire64(&ring->tail)) /* pairs with event_put */
		return false;
	*e = ring->event[ring->head & (EVENT_RING_MAX - 1)];
	store_release64(&ring->head, ring->head + 1); /* pairs with event_put */
	return true;
}

void event_put_request(struct event_ring *ring, enum event_kind kind, const struct request *r, uint8_t reason,
		       uint64_t now_ns)
{
	const struct event e = { .kind = (uint8_t)kind,
				 .opcode = r->kept.opcode,
				 .reason = reason,
				 .res = r->kept.res,
				 .uid = r->user->uid,
				 .session = r->n_session,
				 .request = r->number,
				 .served = r->served,
				 .n_prompt = r->kept.n_prompt,
				 .n_token = r->kept.n_emitted,
				 .first_ns = r->first_ns ? r->first_ns - r->came_ns : 0,
				 .whole_ns = now_ns - r->came_ns };

	event_put(ring, &e);
}
