#include "daemon/flow/fit.h"
#include "daemon/util/minmax.h"
#include "daemon/util/number.h"
#include "shm/atomic.h"

#include <errno.h>
#include <stdio.h>

int fit_context(struct request *r)
{
	uint32_t n_ctx = r->served->geometry.n_ctx, n = r->kept.n_prompt,
		 n_answer = r->kept.max_tokens ? r->kept.max_tokens : 1;

	if (n <= n_ctx - r->op->is_drawn)
		return 0;
	return request_explain(r, -E2BIG,
			       "the prompt has %u tokens, and the context %u positions; with an answer of %u %llu are "
			       "needed: shorten the prompt, or give gyred a larger --ctx",
			       n, n_ctx, n_answer, (unsigned long long)n + n_answer);
}

int fit_pool(struct request *r)
{
	const struct geometry *g = &r->served->geometry;
	char want[32], have[32];

	if (!g->n_kv || r->kept.n_prompt <= g->n_kv || (g->n_held && g->n_held <= g->n_kv))
		return 0;
	number_size(want, sizeof(want), r->kept.n_prompt * g->kv_bytes);
	number_size(have, sizeof(have), g->n_kv * g->kv_bytes);
	return request_explain(r, -ENOSPC,
			       "the prompt's %u tokens take %s of KV memory, and gyred's pool has %s (%u positions): "
			       "shorten it, or give gyred a larger --kv-bytes",
			       r->kept.n_prompt, want, have, g->n_kv);
}

/* Positions that r holds at its end, at most, and what its state counts as; 0 tokens asked for: up to the context. */
static uint32_t most_positions(const struct request *r)
{
	const struct geometry *g = &r->served->geometry;
	uint64_t n = r->kept.n_prompt;

	if (r->op->is_drawn)
		n += r->kept.max_tokens ? r->kept.max_tokens : g->n_ctx;
	n = n < g->n_ctx ? n : g->n_ctx;
	return (g->n_held ? min_u32((uint32_t)n, g->n_held) : (uint32_t)n) + g->n_state;
}

int fit_claim(struct request *r)
{
	uint32_t n = most_positions(r), n_state = r->served->geometry.n_state;
	uint32_t n_pinned = load_relaxed(&r->user->n_pinned[r->served->index]);
	uint32_t limit = r->n_claim_max - min_u32(r->n_claim_max, n_pinned);
	bool is_open = r->op->is_drawn && !r->kept.max_tokens; /* it takes what there is, and its prompt has to fit */
	char state[48] = "", pinned[48] = "";

	r->n_claim = r->n_claim_max ? min_u32(n, limit) : n;
	if (!r->n_claim_max || n <= limit || (is_open && r->kept.n_prompt + (uint64_t)n_state < limit))
		return 0;
	if (n_state)
		snprintf(state, sizeof(state), ", and %u for its state", n_state);
	if (n_pinned)
		snprintf(pinned, sizeof(pinned), ", beside %u that are pinned", n_pinned);
	return request_explain(r, -EFBIG,
			       "it would hold up to %u positions (a prompt of %u and its answer%s)%s, and all "
			       "requests of uid %u may hold %u (max-positions): shorten the prompt, or ask for "
			       "fewer tokens",
			       n, r->kept.n_prompt, state, pinned, r->user->uid, r->n_claim_max);
}

/* ---- pins ---- */

static uint32_t whole_blocks(uint32_t n, const struct geometry *g)
{
	return (n + g->block_len - 1) / g->block_len * g->block_len;
}

/* Adds n to *sum, which stays below `most`. */
static bool add_below(uint32_t *sum, uint32_t n, uint32_t most)
{
	uint32_t old = load_relaxed(sum);

	do
		if (n > most || old > most - n)
			return false;
	while (!compare_swap(sum, &old, old + n));
	return true;
}

static int refuse_quota(struct request *r, uint32_t n)
{
	return request_explain(
		r, -EDQUOT,
		"it would pin %u positions, and uid %u pins %u of the %u that it may (max-pinned): let go "
		"of another (CANCEL), or keep it without GYRE_SQE_PIN",
		n, r->user->uid, load_relaxed(&r->user->n_pinned[r->served->index]), r->n_pin_max);
}

static int refuse_pool(struct request *r, uint32_t n)
{
	const struct geometry *g = &r->served->geometry;

	return request_explain(r, -EDQUOT,
			       "gyred's pool of %u positions has no room for %u more that are pinned, beside a whole "
			       "context of %u: keep it without GYRE_SQE_PIN, or give gyred a larger --kv-bytes",
			       g->n_kv, n, g->n_ctx);
}

/* Beside a request that needs as much as one can: of the blocks, and of the slots. */
static bool pin_in_pool(struct request *r, uint32_t n)
{
	const struct geometry *g = &r->served->geometry;
	uint32_t context = whole_blocks(g->n_held ? min_u32(g->n_held, g->n_ctx) : g->n_ctx, g);

	if (!add_below(&r->queue->n_pinned, n, g->n_kv - min_u32(g->n_kv, context)))
		return false;
	if (add_below(&r->queue->n_pin, 1, g->n_slot ? g->n_slot - 1 : UINT32_MAX))
		return true;
	fetch_add(&r->queue->n_pinned, -n);
	return false;
}

int fit_pin(struct request *r)
{
	const struct geometry *g = &r->served->geometry;
	uint32_t *sum = &r->user->n_pinned[r->served->index], n;

	if (!(r->kept.flags & GYRE_SQE_PIN))
		return 0;
	n = whole_blocks(most_positions(r) - g->n_state, g) + g->n_state;
	if (!add_below(sum, n, r->n_pin_max))
		return refuse_quota(r, n);
	if (!pin_in_pool(r, n)) {
		fetch_add(sum, -n);
		return refuse_pool(r, n);
	}
	r->n_pin = n;
	return 0;
}

void fit_unpin(struct request *r)
{
	if (!r->n_pin)
		return;
	fetch_add(&r->user->n_pinned[r->served->index], -r->n_pin);
	fetch_add(&r->queue->n_pinned, -r->n_pin);
	fetch_add(&r->queue->n_pin, -1u);
	r->n_pin = 0;
}
