#include "daemon/model/mamba.h"

#include "daemon/util/minmax.h"

static size_t ring_floats(const struct model *m)
{
	return (size_t)mix_ring_rows(m) * MAMBA_UNIT;
}

size_t mamba_ring_floats(const struct model *m, uint32_t n_unit, uint32_t node)
{
	struct plan_range own = mix_units(m, n_unit, node);

	return (own.end - own.begin) * ring_floats(m);
}

void mamba_conv(const struct mix_seq *q, uint32_t unit, uint32_t at, uint32_t n_channel)
{
	const struct model *m = q->s->m;
	uint32_t channel = unit * MAMBA_UNIT, n = min_u32(n_channel - channel, MAMBA_UNIT);
	struct plan_range own = mix_units(m, mamba_n_unit(n_channel), q->s->team->index);
	struct mix_conv c = { .at = at + channel,
			      .n = n,
			      .channel = channel,
			      .ring = (float *)(void *)q->state + (unit - own.begin) * ring_floats(m) };

	mix_conv(q, &c);
	for (uint32_t i = 0; i < q->seq->n_row; i++)
		m->k->silu(q->row + (size_t)i * m->mix.stride + c.at, n);
}
