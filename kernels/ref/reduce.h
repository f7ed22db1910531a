/* The one tree of every reduction over LANES = 16 virtual lanes: fold the upper half onto the lower, 8, 4, 2, 1. */
#ifndef GYRE_KERNELS_REF_REDUCE_H
#define GYRE_KERNELS_REF_REDUCE_H

#include "kernels/kernels.h"

static inline float ref_reduce(const float lane[LANES])
{
	float a[LANES / 2];

	for (int i = 0; i < 8; i++)
		a[i] = lane[i] + lane[i + 8];
	for (int i = 0; i < 4; i++)
		a[i] += a[i + 4];
	for (int i = 0; i < 2; i++)
		a[i] += a[i + 2];
	return a[0] + a[1];
}

#endif
