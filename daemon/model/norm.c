#include "daemon/model/norm.h"

#include "daemon/model/arch.h"

#include <math.h>

void norm_row(const struct model *m, const struct norm *norm, uint32_t node, float *y, const float *x, size_t n)
{
	const float *w = norm->w->part[node].data;

	if (m->arch->norm != NORM_RMS)
		m->k->layer_norm(y, x, w, norm->bias ? norm->bias->part[node].data : NULL, n, m->hp.norm_eps);
	else
		m->k->rms_norm(y, x, w, n, m->hp.norm_eps);
}

void norm_bare(const struct model *m, float *x, size_t n)
{
	m->k->scale(x, n, 1.0f / sqrtf(m->k->sum_squares(x, n) / (float)n + m->hp.norm_eps));
}
