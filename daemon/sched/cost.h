/*
 * How long a step takes on this machine, learned from the steps that were made anyway. A step's time is taken to be
 *
 *   t = base(rows) + a × logit rows + b × positions seen by single rows + c × positions seen by rows of a chunk
 *
 * where base is linear between knots, two to an octave: it bends where the arithmetic outruns the memory, or where all experts
 * are read. The knots' times and a, b, c are fitted together by a Kalman filter in which each of them may drift; a time that
 * another process has stolen from is cut to what noise explains, one that is shorter than was thought possible counts in full.
 * Pure arithmetic on the caller's struct, bounded in memory. Owner: the leader.
 */
#ifndef GYRE_DAEMON_SCHED_COST_H
#define GYRE_DAEMON_SCHED_COST_H

#include <stdbool.h>
#include <stdint.h>

#define COST_KNOT_MAX 20u /* rows: 1, 2, 3, 4, 6, 8, 12 .. 1024; more rows take as long each as there */
#define COST_MAX      (COST_KNOT_MAX + 3u)

#define COST_WARM 4u /* first steps, of one row each: all that is longer is told in multiples of one */

/* What a step does. */
struct cost_work {
	uint32_t n_row, n_logit;
	uint64_t n_single; /* positions seen by rows that are their sequence's only one */
	uint64_t n_chunk;  /* and by others */
};

struct cost {
	double ns[COST_MAX];            /* of the knots, then a, b, c */
	double var[COST_MAX][COST_MAX]; /* covariance of these */
	uint32_t known;                 /* a bit for each knot that a step has taught something about */
	uint32_t n_step;                /* so far, up to COST_WARM */
	uint32_t n_prompt_step;         /* steps with chunks so far */
	uint64_t least_ns;              /* the least a step has taken, forgotten by 1/4096 a step; 0: not known */
	uint64_t least_row_ns;          /* and a row, of steps with chunks */
};

/* Zero-filled: nothing is known. */

/* A step took so long. */
void cost_learn(struct cost *c, const struct cost_work *w, uint64_t ns);
/* What one will take; where no step was like it, an upper bound: more rows cost no more each than fewer, fewer no more in all. */
double cost_predict(const struct cost *c, const struct cost_work *w);
/* Of one more row, in a step of about n_row, that sees n_position: what its user is charged for it. */
double cost_of_row(const struct cost *c, uint32_t n_row, bool is_single, bool has_logit, uint64_t n_position);
/*
 * No less than this until n_row rows of one sequence have run and a token is there, even if nobody else wants anything; 0: too
 * little is known. Half of the least that was ever seen, since a host may have been busy all the time.
 */
uint64_t cost_least_ns(const struct cost *c, uint32_t n_row);

#endif
