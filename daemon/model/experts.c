#include "daemon/model/experts.h"

#include "daemon/model/linear.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int experts_open(struct model *m, const struct experts_in *in, struct error *e)
{
	if (!m->experts)
		m->experts = calloc(1, sizeof(*m->experts));
	if (!m->experts)
		return error_set(e, -ENOMEM, "no memory for experts; free some memory");
	m->experts->kinds |= linear_kind(m, in->gate) | linear_kind(m, in->up) | linear_kind(m, in->down);
	if (in->shared_down)
		m->experts->kinds |= linear_kind(m, in->shared_down);
	return 0;
}

/* Packed rows of each kind: n_in of n_embd or as many of n_ff_expert, and behind them n_shared of n_ff_shared. */
static bool mem_new(uint8_t *mem[ACT_KIND_MAX], const struct model *m, size_t n_in, size_t n_shared)
{
	size_t n_col = max_u32(m->hp.n_embd, m->hp.n_ff_expert);

	for (int kind = 0; kind < ACT_KIND_MAX; kind++) {
		size_t bytes;

		if (!(m->experts->kinds & (1u << kind)))
			continue;
		bytes = n_in * linear_row_bytes((enum act_kind)kind, n_col) +
			n_shared * linear_row_bytes((enum act_kind)kind, m->hp.n_ff_shared);
		mem[kind] = memory_array(bytes / 64 + 1, 64);
		if (!mem[kind])
			return false;
	}
	return true;
}

static bool own_new(const struct model *m, struct experts_own *o)
{
	const struct hparams *hp = &m->hp;
	size_t n = m->experts->n_pair_max;

	o->routed = memory_array((size_t)ACT_TILE * hp->n_expert_used, sizeof(*o->routed));
	o->scratch = memory_array(route_scratch(hp), sizeof(float));
	o->gather = memory_array((size_t)ACT_TILE * m->x_stride, sizeof(float));
	o->at = memory_array(hp->n_expert, sizeof(*o->at));
	o->pair = memory_array(n, sizeof(*o->pair));
	o->run = memory_array(min_size(n, hp->n_expert), sizeof(*o->run));
	o->tile = memory_array(n, sizeof(*o->tile));
	return o->routed && o->scratch && o->gather && o->at && o->pair && o->run && o->tile &&
	       mem_new(o->mem, m, hp->n_expert_used, 1);
}

bool experts_new(struct model *m)
{
	struct experts *x = m->experts;
	size_t n_row = m->n_row_max;

	if (!x)
		return true;
	x->ff_stride = state_pad(m->hp.n_ff_expert);
	x->logit_stride = state_pad(m->hp.n_expert);
	x->n_pair_max = m->n_row_max * m->hp.n_expert_used;
	x->logits = memory_array(n_row * x->logit_stride, sizeof(float));
	x->rows = memory_array(n_row * m->x_stride, sizeof(float));
	x->routed = memory_array(x->n_pair_max, sizeof(*x->routed));
	x->shared = memory_array(n_row, sizeof(float));
	x->gate = memory_array((size_t)x->n_pair_max * x->ff_stride, sizeof(float));
	x->up = memory_array((size_t)x->n_pair_max * x->ff_stride, sizeof(float));
	if (!x->logits || !x->rows || !x->routed || !x->shared || !x->gate || !x->up ||
	    !mem_new(x->mem, m, x->n_pair_max, m->hp.n_ff_shared ? n_row : 0))
		return false;
	for (uint32_t i = 0; i < m->n_thread; i++) {
		m->scratch[i].experts = memory_array(1, sizeof(struct experts_own));
		if (!m->scratch[i].experts || !own_new(m, m->scratch[i].experts))
			return false;
	}
	return true;
}

static void mem_free(uint8_t *mem[ACT_KIND_MAX])
{
	for (int kind = 0; kind < ACT_KIND_MAX; kind++)
		free(mem[kind]);
}

static void own_free(struct experts_own *o)
{
	if (!o)
		return;
	free(o->routed);
	free(o->scratch);
	free(o->gather);
	free(o->at);
	free(o->pair);
	free(o->run);
	free(o->tile);
	mem_free(o->mem);
	free(o);
}

void experts_free(struct model *m)
{
	struct experts *x = m->experts;

	if (!x)
		return;
	for (uint32_t i = 0; m->scratch && i < m->n_thread; i++)
		own_free(m->scratch[i].experts);
	free(x->logits);
	free(x->rows);
	free(x->routed);
	free(x->shared);
	free(x->gate);
	free(x->up);
	mem_free(x->mem);
	free(x);
	m->experts = NULL;
}

/* From how many pairs each expert has in own->at to where its first lies there. */
static void make_runs(struct experts_own *own, uint32_t n_expert)
{
	uint32_t pair0 = 0;

	own->n_run = own->n_tile = 0;
	for (uint32_t i = 0; i < n_expert; i++) {
		struct experts_run run = { i, pair0, own->at[i], own->n_tile, linear_n_tile(own->at[i]) };

		if (!run.n)
			continue;
		own->run[own->n_run++] = run;
		own->at[i] = pair0;
		pair0 += run.n;
		for (uint32_t t = 0; t < run.n_tile; t++) {
			size_t first, n;

			linear_tile_rows(run.n, t, &first, &n);
			own->tile[own->n_tile++] = (struct experts_tile){ run.pair0 + (uint32_t)first, (uint32_t)n };
		}
	}
}

void experts_list(struct experts_own *own, const struct hparams *hp, const struct routed *routed, uint32_t n_row)
{
	uint32_t n_used = hp->n_expert_used;

	own->n_pair = n_row * n_used;
	memset(own->at, 0, hp->n_expert * sizeof(*own->at));
	for (uint32_t i = 0; i < own->n_pair; i++)
		own->at[routed[i].expert]++;
	make_runs(own, hp->n_expert);
	for (uint32_t i = 0; i < own->n_pair; i++)
		own->pair[own->at[routed[i].expert]++] = (struct experts_pair){ i / n_used, routed[i].weight };
}
