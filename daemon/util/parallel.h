/*
 * One function on several threads, for start-up work before the team steps: made, run and joined. Never on the step path.
 */
#ifndef GYRE_DAEMON_UTIL_PARALLEL_H
#define GYRE_DAEMON_UTIL_PARALLEL_H

#define PARALLEL_MAX 64

/*
 * Runs fn(arg, 0..n-1), the caller being 0, and returns when all have returned. A call whose thread cannot be had is
 * left out, but for 0: fn takes its work from a shared counter, so that the other threads do it all.
 */
void parallel_run(int n, void (*fn)(void *arg, int i), void *arg);

#endif
