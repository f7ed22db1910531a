/*
 * Who may come in. Connections, sessions and the memory of their regions are divided alike: what a uid takes first it takes from
 * nobody; more it has as long as it leaves at least as much to others, and its quota (quota.h) lets it. What is refused is explained to the client.
 */
#ifndef GYRE_DAEMON_CONTROL_ADMIT_H
#define GYRE_DAEMON_CONTROL_ADMIT_H

#include "daemon/control/connections.h"
#include "daemon/engine/registry.h"

struct admit {
	const struct connections *connections;
	struct registry *models;
	uint32_t n_request;     /* that a user gets who is alone: told where no quota says less */
	uint64_t session_bytes; /* what all regions may take */
	bool is_draining;       /* nobody may any more */
};

/* A connection of uid; *now: how many there are. */
bool admit_connection(const struct connections *t, uid_t uid, struct connection_count *now);
/*
 * n has said hello: the model that it wants, and its session, with sizes for what it has left open. 0; 1: its model is
 * being loaded, and nothing is known of it yet; or -errno and in text[n_text] why and what to do. Sizes that
 * there are none of are session_new's to refuse.
 */
int admit_session(const struct admit *a, struct connection *n, char *text, size_t n_text);

#endif
