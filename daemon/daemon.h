/*
 * The daemon: the engines, the intake before them, what they share, and the threads. Each engine has its leader; the control
 * thread (main) owns sockets, signals and start-up.
 */
#ifndef GYRE_DAEMON_DAEMON_H
#define GYRE_DAEMON_DAEMON_H

#include "daemon/engine/engine.h"
#include "daemon/control/health.h"

struct daemon {
	struct intake intake;
	struct engine *engine; /* [n_engine] */
	uint32_t n_engine;

	struct weights *weights[QUEUE_ENGINE_MAX]; /* of each engine; engines whose memory is the same share one */
	struct vocab *vocab;
	struct chat *chat; /* NULL: there is no template */
	struct kernels kernels;
	struct config config;
	struct layout layout;                   /* of all workers */
	struct layout part[QUEUE_ENGINE_MAX];   /* of each engine's */
	struct health health[QUEUE_ENGINE_MAX]; /* the control thread's */
	char model_name[128];

	int control_fd; /* eventfd: a leader wakes the control thread */
};

/* Loads the model and takes all memory; nothing runs yet. 0 or -errno with e. */
int daemon_open(struct daemon *d, const struct config *c, struct error *e);
void daemon_close(struct daemon *d);
/* Positions of a sequence on any of its engines. */
uint32_t daemon_n_ctx(const struct daemon *d);
/* Starts the leader threads; stop waits for them to finish their steps. */
int daemon_start(struct daemon *d);
void daemon_stop(struct daemon *d);

#endif
