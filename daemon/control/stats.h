/* What `gyre stat` shows, as JSON. Control thread; reads counters that other threads write, relaxed. */
#ifndef GYRE_DAEMON_CONTROL_STATS_H
#define GYRE_DAEMON_CONTROL_STATS_H

#include "daemon/control/connections.h"
#include "daemon/control/control.h"
#include "daemon/control/health.h"

#define STATS_BYTES_MAX 262144 /* 1024 workers at 32 bytes each, 2048 sessions at some 80, and the rest */

/* c: with a row for each session, NULL: without. Returns the length; the text is cut at n - 1 bytes. */
size_t stats_write(const struct control_parts *p, const struct health_all *health, const struct connections *c,
		   char *text, size_t n);
/* The models, an array of objects. */
size_t stats_write_models(const struct control_parts *p, uint64_t now_ns, char *text, size_t n);

#endif
