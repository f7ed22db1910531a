/* The machine's own limits, measured in the same run as gyre's figures, which are judged by their ratio to them. */
#ifndef GYRE_TOOLS_BENCH_H
#define GYRE_TOOLS_BENCH_H

#include "daemon/team/team.h"

/* GB/s (1e9 bytes) of plain reads by all of t from a huge-page buffer larger than the caches; the median of 5. < 0: -errno. */
double bench_read_gbps(struct team *t, struct error *e);

/* Round trips in ns between two pinned threads: of a cache line (a store there, a store back), and of two eventfds. */
double bench_pingpong_ns(int cpu_a, int cpu_b);
double bench_eventfd_ns(int cpu_a, int cpu_b);

/* Pin the calling thread. 0 or -errno. */
int bench_pin(int cpu);

#endif
