/*
 * How long a step may be, and whose time it is. Users are charged the time of their rows, by weight, in a virtual time of each engine: whose
 * is least is served first, and what is left of a step behind everybody's first row fills them up to one level. Who wants less than its
 * part falls behind the one that had most by BURST first rows at most, as a newcomer does: nobody saves up more.
 *
 * A step is as long as the gap between two tokens of a stream may be: --gap-ms, or, without it, a multiple of the first rows, which
 * have to be there anyway. Owner: the leader. Bounds are argued in README.md.
 */
#ifndef GYRE_DAEMON_SCHED_FAIR_H
#define GYRE_DAEMON_SCHED_FAIR_H

#include "daemon/sched/sched.h"

/* The step that has been run: what it took is learned, and charged to its users. Before its requests are looked at. */
void fair_charge(struct sched *s, const struct batch *b);
/* Behind the census, before the sort: nobody is too far behind. Seats and logit rows of each user. */
void fair_begin(struct sched *s, uint32_t n_logit_max);
/* Before the first rows of users of a kind: there is time for them. */
void fair_begin_first(struct sched *s);
/* Whether the user has a first row in this step: not if it is so far ahead of who has had least that its weight has it wait. */
bool fair_has_first(const struct sched *s, const struct sched_user *u);
/* Behind the first rows: how long the step may be, and the part of each user, of a step for those that go before others, or for all others. */
void fair_divide(struct sched *s, bool is_above);
/* Behind the streams: prompts make them wait no longer than they take themselves. */
void fair_limit_prompts(struct sched *s, uint32_t n_stream);
/* What its part leaves is anybody's, in order. */
void fair_open(struct sched *s);

/* Of n more rows of r, behind n_have that ride already, as many as there is time for, of its user's, but for keep_ns, and of the step. */
uint32_t fair_fit(const struct sched *s, const struct request *r, uint32_t n_have, uint32_t n, double keep_ns);
/* What a row is charged, but for what it sees. */
double fair_row_ns(const struct sched *s);
/* They ride. */
void fair_take(struct sched *s, const struct request *r, uint32_t n_have, uint32_t n);
/* Of n guesses behind the one row of r, as many as there is time for ride. */
uint32_t fair_take_guesses(struct sched *s, const struct request *r, uint32_t n);
/* What step b takes with n_guess guesses more, whichever stream of it has them. ns; 0: nobody knows yet. */
uint64_t fair_expect_ns(const struct sched *s, const struct batch *b, uint32_t n_guess);

#endif
