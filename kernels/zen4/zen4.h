/* The functions that zen4.c installs; contracts in kernels.h. */
#ifndef GYRE_KERNELS_ZEN4_H
#define GYRE_KERNELS_ZEN4_H

#include "kernels/ref/ref.h"

/* matmul_q8.c, matmul_k.c */
extern const struct matmul_row zen4_matmul_q8[], zen4_matmul_k[];

#endif
