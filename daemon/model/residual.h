/*
 * The residual stream x, and what is still to be added to it. A product that is divided by columns leaves partial sums, which
 * are added before x is read again: with one node each worker adds the columns it has computed at once, and nothing is pending;
 * else whoever packs a row adds it up first, or all workers do by columns (reduce.h says which, and why). What is normed before it is
 * added is pending with one node as well, and where all workers add up each does whole rows.
 */
#ifndef GYRE_DAEMON_MODEL_RESIDUAL_H
#define GYRE_DAEMON_MODEL_RESIDUAL_H

#include "daemon/model/seat.h"

/* Each worker, at the start of a pass: where its x lies. Nothing is pending. */
void residual_start(const struct seat *s);
/*
 * A product that is added to x leaves its partial sums in m->reduce, and these are settled later; or, where there is one, each worker adds
 * the columns that it has computed at once. `bias` (NULL: none) is added to the sum, and `norm` (w NULL: none) is of both, before they are
 * added. residual_leave says which it is, once a product, before sums are written: what is pending yet is settled first, since of several
 * products that are made from the same x (parallel.c) none packs it in between. Then residual_add_at_once adds panels [begin, end) if it
 * was at once.
 */
bool residual_leave(const struct seat *s, const struct plan_sum *sum, const struct norm *norm,
		    const struct tensor *bias);
void residual_add_at_once(const struct seat *s, size_t begin, size_t end);
/* Adds what is pending to one row of x: the caller's own x, or a row that no other worker settles. */
void residual_settle_row(const struct seat *s, size_t row);
/* Adds it to all rows where the workers share x, each its columns, or rows; all workers call it, and a barrier ends it. Where each has
 * an x of its own it does nothing: that is settled row by row. */
void residual_settle(const struct seat *s);
/* All that is pending, wherever x lies. All workers call it; where something was, a barrier ends it. */
void residual_settle_all(const struct seat *s);

#endif
