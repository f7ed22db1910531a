#include "daemon/engine/reads.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"
#include "kernels/quant.h"

#define EMBEDDING "token_embd.weight"
#define HEAD      "output.weight"

/* Of experts as many as a token takes. */
static uint64_t tensor_bytes(const struct weights *w, const struct tensor *t, uint32_t node)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < t->n_part; i++)
		if (t->part[i].node == node)
			n += t->part[i].n_row * quant_row_bytes(t->type, t->part[i].n_col);
	return n * (t->n_expert > 1 ? w->plan.shape.n_expert_used : 1);
}

uint64_t reads_of_pass(const struct weights *w, uint32_t node)
{
	const struct tensor *embedding = weights_find(w, EMBEDDING);
	bool is_head = !weights_find(w, HEAD);
	uint64_t n = 0;

	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++)
		if (is_head || &w->tensor[i] != embedding)
			n += tensor_bytes(w, &w->tensor[i], node);
	return n;
}

uint64_t reads_n_pass(const struct engine *e)
{
	return counter_read(&team_profile(e->team, 0)->n[PROFILE_HEAD]);
}
