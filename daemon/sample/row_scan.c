#include "daemon/sample/row.h"

static bool needs_order(const struct row *r)
{
	const struct sampling *o = r->sampling;

	return o->n_top || (r->is_drawn && o->temperature > 0 && sampling_has_filter(o));
}

bool row_needs_scan(const struct row *r)
{
	return r->is_adjusted || row_needs_scaled_sum(r) || needs_order(r);
}

static float scaled_sum(const struct kernels *k, const float *x, uint32_t n, float max, float temperature)
{
	float scaled[LOGIT_RANGE], inverse = 1 / temperature;

	for (uint32_t i = 0; i < n; i++)
		scaled[i] = x[i] * inverse;
	return k->sum_exp(scaled, n, max * inverse);
}

void row_scan(const struct row *r, const struct kernels *k, uint32_t n_vocab, uint32_t range)
{
	uint32_t first = range * LOGIT_RANGE, n = logit_range_tokens(n_vocab, range);
	const float *x = r->logits + first;

	if (r->is_adjusted)
		batch_sum_range(&r->range[range], k, x, n);
	if (row_needs_scaled_sum(r))
		r->scaled_sum[range] = scaled_sum(k, x, n, r->range[range].max, r->sampling->temperature);
	if (!needs_order(r))
		return;
	for (uint32_t i = 0; i < n; i += ORDER_BLOCK)
		r->block_max[(first + i) / ORDER_BLOCK] = k->max(x + i, n - i < ORDER_BLOCK ? n - i : ORDER_BLOCK);
}
