/*
 * What a file of products exports: a row for each of its types, and one without a product at the end. A folder's override installs them,
 * so that a type which joins a family is added in its family's file alone.
 */
#ifndef GYRE_KERNELS_ROWS_H
#define GYRE_KERNELS_ROWS_H

#include "kernels/kernels.h"

/* Of kernels.h, matmul. */
#define MATMUL_ARGS                                                                                      \
	float *y, size_t y_stride, const void *w, const void *x_tile, int n_tok, const struct chunks *k, \
		size_t panel0, size_t panel1

typedef void matmul_fn(MATMUL_ARGS);

struct matmul_row {
	enum quant_type type;
	matmul_fn *matmul;
};

static inline void matmul_install(struct kernels *k, const struct matmul_row *row)
{
	for (; row->matmul; row++)
		k->matmul[row->type] = row->matmul;
}

#endif
