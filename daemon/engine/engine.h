/*
 * An engine: the stages of a step, what they work on, the team that runs the model and the thread that leads it. Everything
 * here is its leader's (worker 0 of the team); intake, vocabulary, weights and kernels are the daemon's and outlive it.
 *
 * Its leader lives as long as the daemon, because it watches the rings, too: while the engine is shut, without model, team and KV, it does
 * only that. The loader opens and shuts it when the leader has said that it is away.
 */
#ifndef GYRE_DAEMON_ENGINE_ENGINE_H
#define GYRE_DAEMON_ENGINE_ENGINE_H

#include "daemon/flow/batch.h"
#include "daemon/config/config.h"
#include "daemon/emit/emit.h"
#include "daemon/engine/fill.h"
#include "daemon/intake/intake.h"
#include "daemon/kv/prefix.h"
#include "daemon/model/model.h"
#include "daemon/flow/queue.h"
#include "daemon/sample/sample.h"
#include "daemon/sched/sched.h"
#include "daemon/spec/spec.h"
#include "daemon/team/cores.h"
#include "daemon/team/team.h"
#include "daemon/text/text.h"
#include "daemon/machine/layout.h"
#include "daemon/weights/weights.h"

struct engine {
	struct intake *intake;
	struct queue *queue; /* intake's */
	struct cores_seat seat;
	pthread_t leader;
	uint32_t has_leader, is_stopping; /* atomic */
	uint32_t is_open, is_away;        /* atomic: the loader's word; the leader's, that it has seen it */

	/* While it is open. */
	struct sched sched;
	struct spec spec;
	struct model *model;
	struct team *team;
	struct sample sample;
	struct emit emit;
	struct batch batch;
	struct kv kv;
	struct prefix prefix; /* zero: there is none */

	struct pool kv_pool[NODE_MAX];
	struct fill fill;
	struct layout layout;
	uint32_t n_ctx;
};

/* What the engine is made from, the daemon's. */
struct engine_options {
	const struct config *config;
	const struct config_model *own; /* of this model */
	const struct layout *layout;    /* copied */
	const struct kernels *kernels;
	const struct vocab *vocab;
	const struct weights *weights; /* where the layout says */
	uint32_t n_engine, index;      /* of the model, and which of them it is */
};

/* Of a zero-filled struct: for good. cores: what it shares with engines of other models. */
void engine_init(struct engine *e, struct intake *intake, struct queue *q, struct cores *cores);
/* Takes all memory. 0, or -errno with why, and nothing is left. Its leader, if there is one, goes on with it
 * at once: there are no requests yet. */
int engine_open(struct engine *e, const struct engine_options *o, struct error *why);
/* Everything but what engine_init made, once its leader is out; no request is left. One that is not open does nothing. */
void engine_close(struct engine *e);
/* Before it starts: no sequence is longer than n positions. */
void engine_limit_ctx(struct engine *e, uint32_t n_ctx);
/* Starts the leader thread; stop waits for it to finish its step. */
int engine_start(struct engine *e);
void engine_stop(struct engine *e);

/* One step: step.c. */
void engine_step(struct engine *e);

/* The context that nobody has asked for: what the model was trained on and its window has room for, within CONFIG_CTX_AUTO. */
uint32_t engine_default_ctx(const struct gguf *g);

#endif
