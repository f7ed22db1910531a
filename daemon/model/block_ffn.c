#include "daemon/model/block.h"
#include "daemon/model/linear.h"

void block_ffn(const struct seat *s, int lap, const struct ffn_in *in)
{
	const struct model *m = s->m;
	const struct tensor_part *part = &in->gate->part[s->team->index];
	struct act_source src = linear_source(s, &in->norm, NULL, m->batch->n_row);
	struct product gate = { &s->own->act, in->gate, part, m->gate + part->row0, m->ff_stride };
	struct product up = { gate.x, in->up, &in->up->part[s->team->index], m->up + part->row0, m->ff_stride };
	struct share share;
	size_t begin, end;

	src.kinds = linear_kind(m, in->gate) | linear_kind(m, in->up);
	linear_pack(s, &src);
	linear_share(&share, s, in->gate, m->hp.n_embd, (part->n_row + PANEL_ROWS - 1) / PANEL_ROWS, 1);
	while (share_next(&share, &begin, &end)) {
		size_t at = begin * PANEL_ROWS;

		linear_mul(s, &gate, begin, end);
		linear_mul(s, &up, begin, end);
		for (size_t r = 0; r < src.n_row; r++, at += m->ff_stride)
			in->gate_mul(gate.y + at, gate.y + at, up.y + at, (end - begin) * PANEL_ROWS);
	}
	seat_meet(s, lap);
}
