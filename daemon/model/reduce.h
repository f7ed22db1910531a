/*
 * The all-reduce between nodes, through shared memory: each node leaves partial sums of a column-divided product, and whoever
 * needs a row, or some of its columns, adds them up in the plan's tree. A partial sum has one writer, its node; a barrier lies
 * between writing and adding, and another between adding and the next writing.
 */
#ifndef GYRE_DAEMON_MODEL_REDUCE_H
#define GYRE_DAEMON_MODEL_REDUCE_H

#include "daemon/team/plan.h"
#include "daemon/team/team.h"
#include "kernels/kernels.h"

struct reduce {
	const struct kernels *k;
	size_t stride;              /* floats from row to row of x and of the sums: a multiple of 16 */
	float *sum[PLAN_CHUNK_MAX]; /* [n_row][stride] each, as many as a plan_sum has partial ones */
};

/* x[row][col0 .. col1) += the sum; x is the array's origin, columns are multiples of 16. */
void reduce_add(const struct reduce *r, const struct plan_sum *s, float *x, size_t row, size_t col0, size_t col1);
/* All rows, cut by columns among all workers, each of whom calls it; ends with a barrier, after which x may be read. */
void reduce_rows(const struct reduce *r, const struct plan_sum *s, struct team *team, int worker, float *x,
		 size_t n_row);

#endif
