/*
 * What became of requests, in words: the rings of the engines (flow/event.h) are read here and become lines of the log or, where that is
 * the journal, entries with fields (README.md has the message ids). Control thread.
 */
#ifndef GYRE_DAEMON_CONTROL_JOURNAL_H
#define GYRE_DAEMON_CONTROL_JOURNAL_H

#include "daemon/intake/intake.h"
#include "daemon/util/log_limit.h"

struct journal {
	enum event_level level;
	bool is_native;     /* stderr is the journal: fields are sent to it */
	uint64_t n_dropped; /* told already */
	struct log_limit limit;
};

/* From now on, at any time. slow_ns 0: nothing is slow. */
void journal_set(struct journal *j, struct intake *in, enum event_level level, uint64_t slow_ns);
/* All that has been written. At EVENT_ERRORS, which any client can cause at will, through a limit of each kind and uid; true: there are
 * counts still to be told, so call again. */
bool journal_drain(struct journal *j, struct intake *in, uint64_t now_ns);
/* The same at the end, and the counts. */
void journal_end(struct journal *j, struct intake *in, uint64_t now_ns);

#endif
