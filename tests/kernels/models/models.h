/*
 * Levels compiled a second time, with the instructions that most CPUs lack in portable C: headers below this folder stand before
 * those of the same name. That proves their arithmetic and layouts wherever the rest of the level runs; not the instructions.
 */
#ifndef GYRE_TESTS_KERNELS_MODELS_H
#define GYRE_TESTS_KERNELS_MODELS_H

#include "kernels/kernels.h"

struct model_level {
	const char *name;
	void (*override)(struct kernels *k); /* of what ISA_BASE has */
};

/* Of this machine; a row without a name ends them. */
extern const struct model_level model_levels[];

#endif
