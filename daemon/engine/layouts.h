/*
 * Which threads and nodes each engine has: the machine's layout, divided evenly between replicas.
 */
#ifndef GYRE_DAEMON_ENGINE_LAYOUTS_H
#define GYRE_DAEMON_ENGINE_LAYOUTS_H

#include "daemon/config/config.h"
#include "daemon/flow/queue.h"
#include "daemon/machine/layout.h"

struct layouts {
	struct layout all;                      /* of all workers */
	struct layout engine[QUEUE_ENGINE_MAX]; /* each engine's part */
};

/* On a machine of that topology, which may be another; nothing is tried or said. */
int layouts_divide(struct layouts *l, const struct topology *t, const struct config *c, struct error *e);
int layouts_make(struct layouts *l, const struct config *c, struct error *e);
/*
 * Memory for the nodes there are cannot be had, for `code` and `why`: the model is too small for them, or memory cannot be bound here
 * (a container without the right to). Fewer nodes then. false: they were asked for, or each engine has one already.
 */
bool layouts_shrink(struct layouts *l, const struct config *c, int code, const struct error *why);

/* Whether an engine's weights lie where those of one with a smaller number do: they share a copy. The number of the first such; its own: none. */
uint32_t layouts_weights_of(const struct layouts *l, uint32_t engine);

#endif
