/* What the last norm leaves of the rows whose vectors are wanted: no product, so a row costs what its norm does. */
#include "daemon/model/block.h"
#include "daemon/model/norm.h"
#include "daemon/model/residual.h"

void block_hidden(const struct seat *s)
{
	const struct model *m = s->m;
	const struct batch *b = m->batch;
	size_t step = (size_t)team_size(m->team);

	if (!b->n_hidden)
		return;
	residual_settle_all(s);
	for (size_t i = (size_t)s->worker; i < b->n_hidden; i += step)
		norm_row(m, &m->output_norm, (uint32_t)s->team->index, b->hidden + i * b->hidden_stride,
			 s->own->residual.x + b->hidden_row[i] * m->x_stride, m->hp.n_embd);
}
