/* Each ISA folder exports one function that overwrites the pointers it does better; select.c calls them in ascending order. */
#ifndef GYRE_KERNELS_ISA_H
#define GYRE_KERNELS_ISA_H

#include "kernels/kernels.h"

void kernels_ref_fill(struct kernels *k);
void kernels_avx2_override(struct kernels *k);
void kernels_avx512vnni_override(struct kernels *k);

#endif
