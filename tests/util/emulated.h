/*
 * Whether this runs under qemu's user mode (`make arm64` sets GYRE_TEST_EMULATED), where a process is qemu: its memory, limits, filters and
 * dumps are not the program's, advice on memory is taken and not followed, and what takes how long is another matter.
 */
#ifndef GYRE_TESTS_UTIL_EMULATED_H
#define GYRE_TESTS_UTIL_EMULATED_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* true: skip, which this has told, for what is tested is the emulator's. */
static inline bool is_emulated(const char *what)
{
	if (!getenv("GYRE_TEST_EMULATED"))
		return false;
	printf("skip: %s not the program's under an emulator\n", what);
	return true;
}

#endif
