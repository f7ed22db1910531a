#include "daemon/model/norm.h"

#include "daemon/model/arch.h"

void norm_row(const struct model *m, const struct norm *norm, uint32_t node, float *y, const float *x, size_t n)
{
	const float *w = norm->w->part[node].data;

	if (m->arch->norm != NORM_RMS)
		m->k->layer_norm(y, x, w, norm->bias ? norm->bias->part[node].data : NULL, n, m->hp.norm_eps);
	else
		m->k->rms_norm(y, x, w, n, m->hp.norm_eps);
}
