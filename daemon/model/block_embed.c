#include "daemon/model/block.h"
#include "daemon/model/linear.h"

static void embed(const struct model *m, float *x, const struct tensor_part *part, uint32_t token)
{
	quant_dequantize_row(m->token_embd->type, x, part->data, token - part->row0, part->n_col);
	if (m->hp.embd_scale != 1)
		m->k->scale(x, part->n_col, m->hp.embd_scale);
}

/* Each token by the node that has its row, whose workers take turns, or, where x is the worker's own, all of them. */
void block_embed(const struct seat *s)
{
	const struct model *m = s->m;
	const struct tensor_part *mine = &m->token_embd->part[s->team->index];
	const struct batch *b = m->batch;
	float *x = s->own->residual.x;
	int turn = s->team->first;

	for (uint32_t r = 0; r < b->n_row; r++) {
		const struct tensor_part *part = linear_part_of(m, m->token_embd, (uint32_t)b->token[r]);

		if (x != m->x || (part == mine && turn == s->worker))
			embed(m, x + (size_t)r * m->x_stride, part, (uint32_t)b->token[r]);
		if (part == mine)
			turn = turn + 1 < s->team->first + s->team->n ? turn + 1 : s->team->first;
	}
	profile_lap(PROFILE_EMBED);
	if (x == m->x)
		team_barrier(m->team, s->worker);
}
