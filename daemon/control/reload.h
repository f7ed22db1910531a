/*
 * SIGHUP: the configuration is read again while gyred serves. All of it is checked before any of it counts; then what can change does, for
 * sessions that are open, too, and the log has a line for each key that needs a restart. No session and no request is dropped. Control
 * thread.
 */
#ifndef GYRE_DAEMON_CONTROL_RELOAD_H
#define GYRE_DAEMON_CONTROL_RELOAD_H

#include "daemon/control/admit.h"
#include "daemon/control/control.h"
#include "daemon/control/listen.h"

/* What the configuration was read from. */
struct reload {
	int argc;
	char **argv;
	struct listener *listener;
	bool is_asked; /* before gyred was ready: once it is */
};

/* parts, and what was made of them. What it did, or why nothing, is in the log. */
void reload_config(struct control_parts *parts, struct connections *connections, struct admit *admit);

#endif
