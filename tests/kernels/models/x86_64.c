/* The levels of x86-64 that have a model. */
#include "tests/kernels/models/models.h"

void model_avxvnni_override(struct kernels *k);
void model_amx_override(struct kernels *k);

const struct model_level model_levels[] = {
	{ "avxvnni", model_avxvnni_override },
	{ "amx", model_amx_override },
	{ 0 },
};
