#include "daemon/engine/reads.h"
#include "daemon/util/counter.h"
#include "daemon/util/profile.h"
#include "kernels/quant.h"

#define EMBEDDING "token_embd.weight"
#define HEAD      "output.weight"

static uint64_t part_bytes(const struct tensor *t, const struct tensor_part *p)
{
	return (uint64_t)p->n_expert * p->n_row * quant_row_bytes(t->type, p->n_col);
}

static uint64_t tensor_bytes(const struct tensor *t, uint32_t node)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < t->n_part; i++)
		n += t->part[i].node == node ? part_bytes(t, &t->part[i]) : 0;
	return n;
}

uint64_t reads_of_pass(const struct weights *w, uint32_t node)
{
	const struct tensor *embedding = weights_find(w, EMBEDDING);
	bool is_head = !weights_find(w, HEAD);
	uint64_t n = 0;

	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++)
		if (is_head || &w->tensor[i] != embedding)
			n += tensor_bytes(&w->tensor[i], node);
	return n;
}

uint64_t reads_n_pass(const struct engine *e)
{
	return counter_read(&team_profile(e->team, 0)->n[PROFILE_HEAD]);
}
