/* The functions that zen4.c installs; contracts in kernels.h. */
#ifndef GYRE_KERNELS_ZEN4_H
#define GYRE_KERNELS_ZEN4_H

#include "kernels/ref/ref.h"

/* matmul_q8.c, matmul_k.c */
ref_matmul_fn zen4_matmul_q4_0, zen4_matmul_q4_1, zen4_matmul_q4_k;

#endif
