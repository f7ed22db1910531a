/* The clock of every process that shares the rings: CLOCK_MONOTONIC, which deadlines and times of arrival are told in. */
#ifndef GYRE_SHM_CLOCK_H
#define GYRE_SHM_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
