/* What the daemon takes of the host, by the names that every Prometheus client library gives it. */
#ifndef GYRE_DAEMON_CONTROL_PROCESS_H
#define GYRE_DAEMON_CONTROL_PROCESS_H

#include <stdint.h>

struct process {
	int statm_fd,
		fd_fd; /* /proc/self/statm, /proc/self/fd; kept open, so that a filter of calls need not allow opening; -1: none */
	double n_fd_max; /* as it was at the start: the sandbox has no getrlimit */
	double start_s;  /* since 1970; 0: not known */
};

/* What /proc tells now; NAN: it does not. */
struct process_figures {
	double resident_bytes, virtual_bytes, cpu_s, n_fd, n_fd_max, start_s;
};

void process_open(struct process *p);
void process_close(struct process *p);
void process_read(const struct process *p, struct process_figures *f);

#endif
