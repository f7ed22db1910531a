#include "daemon/flow/batch.h"
#include "daemon/util/memory.h"
#include "kernels/kernels.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int batch_init(struct batch *b, uint32_t n_row_max, uint32_t n_logit_max, uint32_t n_vocab)
{
	memset(b, 0, sizeof(*b));
	b->n_row_max = n_row_max;
	b->n_logit_max = n_logit_max;
	b->logit_stride = (n_vocab + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
	b->n_range = logit_n_range(n_vocab);
	b->token = memory_undumped(n_row_max, sizeof(*b->token));
	b->pos = calloc(n_row_max, sizeof(*b->pos));
	b->row_seq = calloc(n_row_max, sizeof(*b->row_seq));
	b->logit_row = calloc(n_logit_max, sizeof(*b->logit_row));
	b->out = calloc(n_logit_max, sizeof(*b->out));
	b->logits = memory_array(n_logit_max, (size_t)b->logit_stride * sizeof(float));
	b->range = memory_array(n_logit_max, b->n_range * sizeof(*b->range));
	if (!b->token || !b->pos || !b->row_seq || !b->logit_row || !b->out || !b->logits || !b->range) {
		batch_deinit(b);
		return -ENOMEM;
	}
	return 0;
}

int batch_init_hidden(struct batch *b, uint32_t n_embd)
{
	b->hidden_stride = (n_embd + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
	b->hidden_row = calloc(b->n_row_max, sizeof(*b->hidden_row));
	b->hidden = memory_array(b->n_row_max, b->hidden_stride * sizeof(*b->hidden));
	return b->hidden_row && b->hidden ? 0 : -ENOMEM;
}

void batch_deinit(struct batch *b)
{
	memory_undumped_free(b->token, b->n_row_max, sizeof(*b->token));
	free(b->pos);
	free(b->row_seq);
	free(b->logit_row);
	free(b->out);
	free(b->logits);
	free(b->range);
	free(b->hidden_row);
	free(b->hidden);
	memset(b, 0, sizeof(*b));
}

/* What the step before had, and this one may not overwrite: an idle daemon keeps nobody's text. */
static void wipe(struct batch *b)
{
	explicit_bzero(b->token, b->n_row * sizeof(*b->token));
	explicit_bzero(b->out, b->n_logit * sizeof(*b->out));
	if (b->n_hidden)
		explicit_bzero(b->hidden, (size_t)b->n_hidden * b->hidden_stride * sizeof(*b->hidden));
}

void batch_layout(struct batch *b)
{
	wipe(b);
	b->n_row = 0;
	b->n_logit = 0;
	b->n_hidden = 0;
	for (uint32_t s = 0; s < b->n_seq; s++) {
		struct batch_seq *seq = &b->seq[s];
		const struct op *op = seq->request->op;
		struct op_span wanted = op->wants_logits(seq->request), hidden = { 0, 0 };

		if (op->wants_hidden)
			hidden = op->wants_hidden(seq->request);
		seq->row0 = b->n_row;
		assert(b->n_row + seq->n_row <= b->n_row_max);
		for (uint32_t i = 0; i < seq->n_row; i++) {
			uint32_t pos = seq->n_past + i;

			if (pos >= wanted.begin && pos < wanted.end) {
				assert(b->n_logit < b->n_logit_max);
				b->logit_row[b->n_logit++] = b->n_row;
			}
			if (pos >= hidden.begin && pos < hidden.end)
				b->hidden_row[b->n_hidden++] = b->n_row;
			b->token[b->n_row] = seq->request->token[pos];
			b->pos[b->n_row] = (int32_t)pos;
			b->row_seq[b->n_row++] = s;
		}
	}
	if (b->n_row)
		b->layout_ns = clock_ns();
}

void batch_sum_range(struct logit_range *r, const struct kernels *k, const float *x, uint32_t n)
{
	r->max = k->max(x, n);
	r->sum = k->sum_exp(x, n, r->max);
}
