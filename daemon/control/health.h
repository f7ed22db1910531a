/*
 * Whether engines move. What moves is counted by the threads themselves, a lap at a time (util/profile.h): between two laps of a
 * pass lie milliseconds. An engine that has requests and is not asleep, or that sleeps on requests, and whose threads make no lap
 * for a while is stalled: a worker is stopped, or waits for something that does not come. While its threads use CPU time they may be in
 * one long operation, and while they are ready to run and get no CPU it is the host that stands: both are given longer.
 *
 * Control thread. Reads other threads' counters, relaxed; no engine is asked for anything, so a stuck one is seen as well.
 */
#ifndef GYRE_DAEMON_CONTROL_HEALTH_H
#define GYRE_DAEMON_CONTROL_HEALTH_H

#include "daemon/engine/registry.h"
#include "daemon/intake/helper.h"

#define HEALTH_LOOK_NS  200000000ull   /* how often to look */
#define HEALTH_STALL_NS 550000000ull   /* three looks; with the one before it within a second */
#define HEALTH_BUSY_NS  30000000000ull /* of one operation that does use the CPU */

struct health {
	uint64_t n_lap;      /* of all threads, when it last moved */
	uint64_t moved_ns;   /* when that was seen */
	uint64_t cpu_ns;     /* what its threads had used then */
	bool is_stalled;     /* it has been said */
	uint64_t stalled_ms; /* counter: for how long already; 0: it moves */
	uint64_t n_stall;    /* counter: how often since the start */
};

/* Of the threads that read long texts. */
struct health_texts {
	uint64_t cpu_ns[HELPER_THREAD_MAX];   /* that a thread had used when it was last seen to move, */
	uint64_t moved_ns[HELPER_THREAD_MAX]; /* and when that was */
	uint64_t queued_ns;                   /* since when a text waits and no thread reads any; 0: none does */
	uint64_t still_ns;                    /* of the one that has stood longest */
	bool is_stalled;
};

struct health_all {
	struct health engine[QUEUE_ENGINE_MAX]; /* by the number of its queue */
	struct health_texts texts[SERVED_MAX];
	uint64_t n_step; /* of all engines, at the last look */
};

/*
 * Looks at all; whether all of them move. Entries that nobody reads (is_unread) may be those of a client that has not rung, so all leaders that wait are rung
 * for it: if none of them comes, one that should is stuck.
 */
bool health_look_at_all(struct health_all *h, struct registry *r, struct intake *i, bool is_unread, uint64_t now_ns);
/* Since the last look: "" when all move, else one line of text[n] that says what stands. Returns its length. */
size_t health_explain(const struct health_all *h, char *text, size_t n);
/* Looks at the engine, number i, and logs when it stalls and when it goes on. is_called: it should be up, with nothing of its own to do. */
void health_look(struct health *h, const struct engine *e, uint32_t i, bool is_called, uint64_t now_ns);

#endif
