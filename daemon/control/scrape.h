/*
 * The metrics' own socket: a stream socket that anybody may connect to and whose answer to any GET is the metrics, as HTTP/1.0. A
 * thread of its own, less urgent than all that serves, with libmicrohttpd on connections that it accepts itself: by uid,
 * a first one is taken from nobody, more are there as long as as many are left, and each ends after three seconds, whatever its
 * peer does or does not. What it answers is written by the control thread, at most a hundred times a second, on request: a
 * buffer is passed to and fro, and neither waits for the other with a lock.
 */
#ifndef GYRE_DAEMON_CONTROL_SCRAPE_H
#define GYRE_DAEMON_CONTROL_SCRAPE_H

#include "daemon/control/metrics.h"

#define SCRAPE_PEER_MAX 32u
#define SCRAPE_NICE     10

struct scrape;

/* listen_fd stays the caller's, which has put it to not block. 0, or -errno with e. */
int scrape_open(struct scrape **sp, int listen_fd, struct error *e);
/* NULL does nothing. Returns NULL. */
struct scrape *scrape_close(struct scrape *s);

/* Control thread: readable when metrics are wanted; then scrape_answer. */
int scrape_fd(const struct scrape *s);
void scrape_answer(struct scrape *s, const struct metrics_source *from);

#endif
