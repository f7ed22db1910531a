/*
 * What serving needs of the host beyond memory and threads, tried before the model is loaded: a daemon that says "ready" can make a
 * session. A container may forbid any call, and the message names the one. What there is another way for is not here: io_uring
 * (loop/, weights/loader.c), signalfd (signals.c), MADV_POPULATE_WRITE and mbind (weights/pool.c).
 */
#ifndef GYRE_DAEMON_CONTROL_HOST_H
#define GYRE_DAEMON_CONTROL_HOST_H

#include "daemon/util/error.h"

#include <stdbool.h>

/* 0, or -errno with the call and its remedy. */
int host_check(struct error *e);
/* Descriptors: all that may be had. Dumps and debuggers of the same user: none, unless wanted. */
void host_limits(bool want_dumps);

#endif
