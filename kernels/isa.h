/* Each ISA folder exports a function that overwrites the pointers it does better, and one for the limits; select.c calls them
 * in ascending order. */
#ifndef GYRE_KERNELS_ISA_H
#define GYRE_KERNELS_ISA_H

#include "kernels/kernels.h"
#include "kernels/limits.h"

void kernels_ref_fill(struct kernels *k);
void kernels_avx2_override(struct kernels *k);
void kernels_avx512vnni_override(struct kernels *k);
void kernels_zen4_override(struct kernels *k);

void limits_ref_fill(struct limits *l);
void limits_avx2_override(struct limits *l);
void limits_avx512vnni_override(struct limits *l);

#endif
