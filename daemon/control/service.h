/*
 * The service manager (systemd), as sd_notify(3) and sd_listen_fds(3) have it: the socket that it hands over, and what it is told.
 * Without one, which the environment says, nothing here does anything. Control thread and start-up only.
 */
#ifndef GYRE_DAEMON_CONTROL_SERVICE_H
#define GYRE_DAEMON_CONTROL_SERVICE_H

#include "daemon/util/error.h"

#include <stdint.h>

/* The descriptor of the socket that it listens on for us; -ENOENT: it has none. -EINVAL with e: several. */
int service_take_socket(struct error *e);

/* A line of what gyred is doing, for `systemctl status`. */
void service_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A request would be served from now on. */
void service_say_ready(void);
/* The configuration is read again; service_say_ready follows. */
void service_say_reloading(void);
/* No new requests are taken. */
void service_say_stopping(void);

/* How often it must hear that tokens move, or it ends us; 0: it does not watch. */
uint64_t service_watchdog_ns(void);
void service_say_alive(void);

#endif
