/* The machine's own limits, measured in the same run as gyre's figures, which are judged by their ratio to them. */
#ifndef GYRE_TOOLS_BENCH_H
#define GYRE_TOOLS_BENCH_H

#include "daemon/team/team.h"
#include "daemon/weights/pool.h"
#include "kernels/limits.h"

/* ---- bench_limits.c: a turn measures every way once; the figure is the way with the best median over the turns ---- */

#define LIMIT_WAYS 12

struct bench_limits {
	struct limits k;
	struct team *team;
	const struct pool *pool; /* the memory that is read: the weights, or `own` where they nearly fit the caches */
	struct pool own;
	size_t bytes;       /* of it that are read */
	uint32_t n_turn, n; /* turns to come at most; taken */
	double *read;       /* [LIMIT_WAYS][n_turn] GB/s (1e9 bytes), all workers */
	double *peak[2];    /* [n_turn] 1e9 multiply-adds a second: of one worker alone, and of all */
};

struct bench_roof {
	double read_gbps, peak_gmacs, peak_one_gmacs;
	char read_way[48];
};

/* The limits at one moment, to judge a time taken just before or after. */
struct bench_moment {
	double read_gbps, peak_gmacs;
};

int bench_limits_open(struct bench_limits *l, const struct pool *weights, enum kernels_isa isa, struct team *t,
		      uint32_t n_turn, struct error *e);
void bench_limits_close(struct bench_limits *l);
void bench_limits_turn(struct bench_limits *l);
/* Both after one turn at least. One more read, by the way that is best so far, and all workers' multiply-adds. */
void bench_limits_now(struct bench_limits *l, struct bench_moment *m);
void bench_limits_roof(const struct bench_limits *l, struct bench_roof *r);

/* ---- bench_team.c ---- */

#define BENCH_SIZES 5 /* rows of floats that are reduced */

/* Medians over the turns of one run. */
struct team_figures {
	int n_node, n_worker;
	double hop_ns; /* a cache line there and back between the first two cores */
	double barrier_ns, run_ns, reduce_ns[BENCH_SIZES];
	double barrier_ratio, reduce_ratio[BENCH_SIZES]; /* over the hop of the same turn */
};

/* Needs two cores. n_worker, n_node: as bench_team. */
int bench_team_measure(struct team_figures *f, uint32_t n_worker, uint32_t n_node, struct error *e);
/* Time of an all-reduce of one row of n floats between the nodes measured: a line through the figures. */
double bench_reduce_ns(const struct team_figures *f, uint32_t n, double *latency_ns);

/* ---- bench.c ---- */

/* Round trips in ns between two pinned threads: of a cache line (a store there, a store back), and of two eventfds. */
double bench_pingpong_ns(int cpu_a, int cpu_b);
double bench_eventfd_ns(int cpu_a, int cpu_b);
/* From an eventfd's write until the thread that it woke has answered by a store, on a core that had nothing to do for idle_s. A core
 * that idles for long wakes slowly, in a virtual machine above all. */
double bench_wake_ns(int cpu_a, int cpu_b, double idle_s);

/* Pin the calling thread. 0 or -errno. */
int bench_pin(int cpu);
/* Moves the caller, which is the first worker, to the layout's first CPU, or, if the layout pins nothing, to the process's original CPU
 * mask. */
void bench_seat(const struct layout *l);
/* n workers on n_node nodes (layout_make: 0 is the default of either), pinned to a core each where there are as many; the caller
 * is the first, and seated. */
int bench_team(struct team **t, struct layout *l, uint32_t n, uint32_t n_node, struct error *e);

#endif
