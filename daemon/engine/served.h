/*
 * Makes what is served (flow/served.h): weights, vocabulary and template of a model, and the engines that run it.
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
};

/* Weights, vocabulary, name and template. 0, or -errno with e; served_close in both cases. */
int served_load(struct served *s, const struct served_options *o, struct error *e);
/* Then the engines, and the geometry that they have in common. */
int served_open(struct served *s, const struct served_options *o, struct error *e);
/* A zero-filled struct does nothing. */
void served_close(struct served *s);
/* Starts the leader threads; stop waits for them to finish their steps. */
int served_start(struct served *s);
void served_stop(struct served *s);

#endif
