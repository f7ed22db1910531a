/*
 * Makes what is served (flow/served.h): weights, vocabulary and template of a model, the engines that run it, and its part of intake.
 */
#ifndef GYRE_DAEMON_ENGINE_SERVED_H
#define GYRE_DAEMON_ENGINE_SERVED_H

#include "daemon/engine/engine.h"
#include "daemon/engine/layouts.h"
#include "daemon/flow/served.h"

struct served_options {
	const struct config *config;
	const struct config_model *own; /* of this model */
	struct layouts *layouts;        /* may be shrunk to what memory can be had for */
	const struct kernels *kernels;
	struct intake *intake;
	struct cores *cores; /* [n_replica] */
};

/* For good, of a free place: `slot` is the first of its engines' queues. 0 or -ENOMEM with e. */
int served_init(struct served *s, const struct served_options *o, uint32_t slot, struct error *e);
/* served_close has been called. A zero-filled struct does nothing. */
void served_deinit(struct served *s);
/* Takes all memory: weights, vocabulary, title, template, engines, places of requests. Its state is the caller's. 0, or -errno with e, and
 * nothing is left. */
int served_open(struct served *s, const struct served_options *o, struct error *e);
/* No request is left. A zero-filled struct does nothing. */
void served_close(struct served *s);
/* Starts the leader threads that there are none of; stop waits for them to finish their steps. */
int served_start(struct served *s);
void served_stop(struct served *s);

#endif
