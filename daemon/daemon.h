/*
 * The daemon: every stage of a step, what they work on, and the two threads that drive it. The leader thread (worker 0 of
 * the team) owns everything down to `leader`; the control thread (main) owns sockets, signals and start-up.
 */
#ifndef GYRE_DAEMON_DAEMON_H
#define GYRE_DAEMON_DAEMON_H

#include "daemon/batch.h"
#include "daemon/config/config.h"
#include "daemon/emit/emit.h"
#include "daemon/intake/intake.h"
#include "daemon/kv/kv.h"
#include "daemon/model/model.h"
#include "daemon/queue.h"
#include "daemon/sample/sample.h"
#include "daemon/sched/sched.h"
#include "daemon/spec/spec.h"
#include "daemon/team/team.h"
#include "daemon/text/text.h"
#include "daemon/util/topology.h"
#include "daemon/weights/weights.h"

struct daemon {
	struct intake intake;
	struct queue queue;
	struct sched sched;
	struct spec spec;
	struct model *model;
	struct team *team;
	struct sample sample;
	struct emit emit;
	struct batch batch;
	struct kv kv;

	struct weights *weights;
	struct vocab *vocab;
	struct pool kv_pool;
	struct kernels kernels;
	struct config config;
	struct topology topology;
	int cpu[TOPOLOGY_CORE_MAX];
	uint32_t n_thread, n_ctx;
	char model_name[128];

	int control_fd; /* eventfd: the leader wakes the control thread */
	pthread_t leader;
	bool has_leader;
	uint32_t is_stopping; /* atomic */
};

/* Loads the model and takes all memory; nothing runs yet. 0 or -errno with e. */
int daemon_open(struct daemon *d, const struct config *c, struct error *e);
void daemon_close(struct daemon *d);
/* Starts the leader thread; stop waits for it to finish its step. */
int daemon_start(struct daemon *d);
void daemon_stop(struct daemon *d);

/* One step: step.c. 0. */
int daemon_step(struct daemon *d);

#endif
