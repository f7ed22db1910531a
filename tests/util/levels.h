/* Tests that walk the ISA levels: what this CPU cannot run is said, for the last lines of `make test`. */
#ifndef GYRE_TESTS_UTIL_LEVELS_H
#define GYRE_TESTS_UTIL_LEVELS_H

#include "kernels/kernels.h"

#include <stdio.h>

/* Whether the level can run; one that the table has and this CPU cannot run is printed as skipped. */
static inline bool level_runs(int isa)
{
	const char *name = kernels_isa_name((enum kernels_isa)isa);
	char why[KERNELS_REFUSAL_BYTES];

	if (!name)
		return false;
	if (kernels_isa_refusal(why, sizeof(why), name)) {
		printf("skip: %s\n", why);
		return false;
	}
	return true;
}

#endif
