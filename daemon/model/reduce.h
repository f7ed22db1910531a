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

/*
 * Whether each worker has an x of its own and adds up whole rows for itself. A tile of rows of two nodes: one node's sums are all
 * that a worker fetches, as many lines as by columns its share of the sums and the others' of x; but x is not handed on, which
 * would cost a barrier more and each line of x that was read elsewhere its way back to who writes it next. With n nodes it would be
 * n - 1 sums against 2 (n - 1) / n.
 */
static inline bool reduce_is_own(uint32_t n_node, size_t n_row)
{
	return n_node == 2 && n_row <= ACT_TILE;
}

struct reduce {
	const struct kernels *k;
	float scale;                /* of a sum before it is added */
	size_t stride;              /* floats from row to row of x and of the sums: a multiple of 16 */
	float *sum[PLAN_CHUNK_MAX]; /* [n_row][stride] each, as many as a plan_sum has partial ones */
};

/* y[stride] = the sum and the bias (NULL: none), unscaled: a whole row. */
void reduce_row(const struct reduce *r, const struct plan_sum *s, const float *bias, float *y, size_t row);
/* x[row][col0 .. col1) += scale * (the sum + bias); x is the array's origin, columns are multiples of 16. */
void reduce_add(const struct reduce *r, const struct plan_sum *s, const float *bias, float *x, size_t row, size_t col0,
		size_t col1);
/* All rows, cut by columns among all workers, each of whom calls it; ends with a barrier, after which x may be read. */
void reduce_rows(const struct reduce *r, const struct plan_sum *s, const float *bias, struct team *team, int worker,
		 float *x, size_t n_row);

#endif
