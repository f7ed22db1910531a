/*
 * Only the rows that somebody asked for meet the vocabulary, which is the largest matrix of a small model. It goes in ranges of
 * LOGIT_RANGE tokens: the worker that computed one sums it up for sampling while it is in L1.
 */
#include "daemon/model/block.h"
#include "daemon/model/linear.h"
#include "daemon/util/minmax.h"

#define RANGES 4 /* at once: 4 KiB of logits of a row */

_Static_assert(LOGIT_RANGE == PLAN_VOCAB_RANGE, "one node has the whole of a range");

/* A range of a row, from the product to what sampling sees. */
static void finish_range(const struct model *m, float *x, uint32_t row, uint32_t range)
{
	uint32_t n = logit_range_tokens(m->hp.n_vocab, range);
	struct batch *b = m->batch;

	if (m->hp.logit_scale != 1)
		m->k->scale(x, n, m->hp.logit_scale);
	if (m->hp.logit_cap != 0)
		m->k->cap(x, n, m->hp.logit_cap);
	batch_sum_range(&b->range[(size_t)row * b->n_range + range], m->k, x, n);
}

/* Ranges [begin, end) of the node's part of the vocabulary. */
static void run_ranges(const struct seat *s, const struct product *p, size_t begin, size_t end)
{
	const size_t panels = LOGIT_RANGE / PANEL_ROWS, n_panel = (p->part->n_row + PANEL_ROWS - 1) / PANEL_ROWS;
	const uint32_t range0 = p->part->row0 / LOGIT_RANGE;
	const struct batch *b = s->m->batch;

	linear_mul(s, p, begin * panels, min_size(end * panels, n_panel));
	for (uint32_t r = 0; r < b->n_logit; r++)
		for (size_t i = range0 + begin; i < range0 + end; i++)
			finish_range(s->m, b->logits + (size_t)r * b->logit_stride + i * LOGIT_RANGE, r, (uint32_t)i);
}

static void run(const struct seat *s)
{
	const struct model *m = s->m;
	const struct batch *b = m->batch;
	const struct tensor_part *part = &m->output->part[s->team->index];
	struct act_source src = linear_source(s, &m->output_norm, b->logit_row, b->n_logit);
	struct product p = { &s->own->act, m->output, part, b->logits + part->row0, b->logit_stride };
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(m, m->output);
	linear_pack(s, &src);
	linear_share(&share, s, m->output, m->hp.n_embd, (part->n_row + LOGIT_RANGE - 1) / LOGIT_RANGE,
		     LOGIT_RANGE / PANEL_ROWS);
	while (share_next(&share, &begin, &end))
		for (size_t next; begin < end; begin = next) {
			next = min_size(begin + RANGES, end);
			run_ranges(s, &p, begin, next);
		}
}

void block_logits(const struct seat *s)
{
	block_hidden(s);
	if (s->m->batch->n_logit)
		run(s);
	profile_lap(PROFILE_HEAD);
}
