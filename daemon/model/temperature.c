#include "daemon/model/temperature.h"

#include "daemon/model/f64.h"
#include "daemon/model/state.h"

#include <errno.h>
#include <stdlib.h>

int temperature_open(struct model *m, struct error *e)
{
	const struct hparams *hp = &m->hp;

	if (hp->temp_scale == 0)
		return 0;
	m->temperature = malloc(m->n_ctx * sizeof(*m->temperature));
	if (!m->temperature)
		return error_set(e, -ENOMEM, "no memory for the temperatures of %u positions: lower the context",
				 m->n_ctx);
	for (uint32_t pos = 0; pos < m->n_ctx; pos++) {
		double length = 1.0 + (pos + hp->temp_first) / hp->temp_length;

		m->temperature[pos] = (float)(1 + (double)hp->temp_scale * f64_log(length));
	}
	return 0;
}
