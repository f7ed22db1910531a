/*
 * Lines that others can cause as often as they like: of each kind and uid the first in ten seconds is logged, the rest counted
 * and told in one line behind it. The table is small; when more pairs than it holds are noisy at once, the surplus shares a
 * place, and so its lines.
 */
#ifndef GYRE_DAEMON_UTIL_LOG_LIMIT_H
#define GYRE_DAEMON_UTIL_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_NS   10000000000ull
#define LOG_LIMIT_SLOT 32u

struct log_limit_slot {
	const char *what; /* NULL: free. Of the kind: "connections refused"; kinds are told apart by this pointer */
	uint32_t uid;
	bool is_shared;
	uint64_t since_ns, n_more;
};

struct log_limit {
	struct log_limit_slot slot[LOG_LIMIT_SLOT]; /* the last is the surplus's */
};

/* Whether a line of this kind and uid may be written now; if not, it is counted. */
bool log_limit_pass(struct log_limit *l, const char *what, uint32_t uid, uint64_t now_ns);
/* Writes the counts whose time is over. true: some are still to come, so call again. */
bool log_limit_flush(struct log_limit *l, uint64_t now_ns);
/* Writes all counts, at the end. */
void log_limit_end(struct log_limit *l, uint64_t now_ns);

#endif
