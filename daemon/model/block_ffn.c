#include "daemon/model/block.h"
#include "daemon/model/linear.h"
#include "daemon/util/minmax.h"

/* y += bias, in rows [begin, end) of the node's part: panels may reach past it, and a bias does not. */
static void add_bias(const struct seat *s, const struct product *p, const struct tensor *bias, size_t begin, size_t end)
{
	const struct model *m = s->m;
	const float *b = (const float *)bias->part[s->team->index].data + p->part->row0;

	end = min_size(end, p->part->n_row);
	for (size_t r = 0; r < m->batch->n_row && begin < end; r++)
		m->k->add(p->y + r * p->y_stride + begin, b + begin, end - begin);
}

static void multiply(const struct seat *s, const struct product *p, const struct tensor *bias, size_t begin, size_t end)
{
	linear_mul(s, p, begin, end);
	if (bias)
		add_bias(s, p, bias, begin * PANEL_ROWS, end * PANEL_ROWS);
}

/* n of a row: what the gate lets through, or without one what the activation makes of it. */
static void activate(const struct seat *s, const struct ffn_in *in, float *gate, const float *up, size_t n)
{
	if (in->gate)
		in->gate_mul(gate, gate, up, n);
	else if (in->act)
		in->act(gate, up, n);
	else
		s->m->k->xielu(gate, up, n, &in->xielu);
}

void block_ffn(const struct seat *s, int lap, const struct ffn_in *in)
{
	const struct model *m = s->m;
	const struct tensor_part *part = &in->up->part[s->team->index];
	struct act_source src = linear_source(s, &in->norm, NULL, m->batch->n_row);
	struct product up = { &s->own->act, in->up, part, m->up + part->row0, m->ff_stride };
	struct product gate = { up.x, in->gate, NULL, m->gate + part->row0, m->ff_stride };
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(m, in->up);
	if (in->gate) {
		gate.part = &in->gate->part[s->team->index];
		src.kinds |= linear_kind(m, in->gate);
	}
	linear_pack(s, &src);
	linear_share(&share, s, in->up, m->hp.n_embd, (part->n_row + PANEL_ROWS - 1) / PANEL_ROWS, 1);
	while (share_next(&share, &begin, &end)) {
		size_t at = begin * PANEL_ROWS;

		if (in->gate)
			multiply(s, &gate, in->gate_bias, begin, end);
		multiply(s, &up, in->up_bias, begin, end);
		for (size_t r = 0; r < src.n_row; r++, at += m->ff_stride)
			activate(s, in, gate.y + at, up.y + at, (end - begin) * PANEL_ROWS);
	}
	seat_meet(s, lap);
}
