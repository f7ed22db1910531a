#include "daemon/model/block_shortconv.h"

#include "daemon/util/minmax.h"

#include <errno.h>

#define UNIT (4u * LANES) /* channels: whole cache lines of many rows */

static uint32_t n_unit(const struct model *m)
{
	return (m->hp.n_embd + UNIT - 1) / UNIT;
}

static size_t ring_floats(const struct model *m, uint32_t begin, uint32_t end)
{
	return (size_t)mix_ring_rows(m) * (min_u32(end * UNIT, m->hp.n_embd) - min_u32(begin * UNIT, m->hp.n_embd));
}

static size_t state_bytes(const struct model *m, uint32_t node)
{
	struct plan_range own = mix_units(m, n_unit(m), node);

	return ring_floats(m, own.begin, own.end) * sizeof(float);
}

static uint32_t y_at(const struct model *m)
{
	(void)m;
	return 0; /* in the place of b */
}

static void run(const struct mix_seq *q, uint32_t unit)
{
	const struct model *m = q->s->m;
	struct plan_range own = mix_units(m, n_unit(m), q->s->team->index);
	uint32_t at = unit * UNIT, n = min_u32(UNIT, m->hp.n_embd - at);
	float *b = q->row + at;

	for (uint32_t i = 0; i < q->seq->n_row; i++, b += m->mix.stride)
		m->k->mul(b, b + 2 * (size_t)m->hp.n_embd, n);
	mix_conv(q, &(struct mix_conv){ at, n, at, (float *)(void *)q->state + ring_floats(m, own.begin, unit) });
	b = q->row + at;
	for (uint32_t i = 0; i < q->seq->n_row; i++, b += m->mix.stride)
		m->k->mul(b, b + m->hp.n_embd, n);
}

const struct mixer shortconv = {
	.stage = { { .n_unit = n_unit, .run = run } },
	.y_at = y_at,
	.state_bytes = state_bytes,
};

int block_shortconv_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e)
{
	if (hp->n_embd % LANES)
		return error_set(e, -ENOTSUP, "%s.embedding_length is %u: gyre convolves multiples of %d channels",
				 arch, hp->n_embd, LANES);
	for (uint32_t i = 0; i < hp->n_layer; i++)
		if (!(hp->kind[i] & LAYER_ATTENTION))
			hp->kind[i] |= LAYER_STATE;
	return hparams_get_u32(g, arch, "shortconv.l_cache", &hp->ssm.conv_kernel, 0, CONV_TAP_MAX, e);
}
