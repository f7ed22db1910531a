/*
 * Figures of the whole daemon as Prometheus text, version 0.0.4. Names are vLLM's behind gyre_, so that its dashboards need a
 * prefix changed; each family stands once, with its samples of all models. Control thread; reads counters that other
 * threads write, relaxed.
 */
#ifndef GYRE_DAEMON_CONTROL_METRICS_H
#define GYRE_DAEMON_CONTROL_METRICS_H

#include "daemon/control/connections.h"
#include "daemon/control/control.h"
#include "daemon/control/health.h"
#include "daemon/control/process.h"

#define METRICS_BYTES_MAX (384u << 10) /* some 30 KiB a model, and 4 of the daemon's; one message of the socket's */

struct metrics_source {
	const struct control_parts *parts;
	const struct health_all *health;
	const struct connections *connections;
	const struct process *process;
};

/* Returns the length; the text ends behind a whole line. */
size_t metrics_write(const struct metrics_source *m, char *text, size_t n);

#endif
