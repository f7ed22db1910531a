#include "daemon/flow/fit.h"
#include "daemon/util/minmax.h"
#include "daemon/util/number.h"

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
	uint32_t n = most_positions(r), limit = r->n_claim_max, n_state = r->served->geometry.n_state;
	bool is_open = r->op->is_drawn && !r->kept.max_tokens; /* it takes what there is, and its prompt has to fit */
	char state[48] = "";

	r->n_claim = limit ? min_u32(n, limit) : n;
	if (!limit || n <= limit || (is_open && r->kept.n_prompt + (uint64_t)n_state < limit))
		return 0;
	if (n_state)
		snprintf(state, sizeof(state), ", and %u for its state", n_state);
	return request_explain(r, -EFBIG,
			       "it would hold up to %u positions (a prompt of %u and its answer%s), and all "
			       "requests of uid %u may hold %u (max-positions): shorten the prompt, or ask for "
			       "fewer tokens",
			       n, r->kept.n_prompt, state, r->user->uid, limit);
}
