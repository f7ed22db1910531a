/* What a file of ref/ exports: a row for each of its types, and one without a name at the end. quant.c looks types up in them, and ref.c
 * installs their products. */
#ifndef GYRE_KERNELS_REF_TYPES_H
#define GYRE_KERNELS_REF_TYPES_H

#include "kernels/rows.h"

struct ref_type {
	enum quant_type type;
	struct quant_info info;
	enum act_kind act;
	matmul_fn *matmul;
};

extern const struct ref_type ref_float_types[], ref_q8_types[], ref_k_types[], ref_k23_types[];

/* All of them; NULL at the end. */
extern const struct ref_type *const ref_families[];

#endif
