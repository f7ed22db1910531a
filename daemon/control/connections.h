/*
 * The connections to the socket, in a table of fixed size: who is at the other end, and the session that was made for it. How much of
 * what is scarce each uid has is counted here. Control thread.
 */
#ifndef GYRE_DAEMON_CONTROL_CONNECTIONS_H
#define GYRE_DAEMON_CONTROL_CONNECTIONS_H

#include "daemon/control/budget.h"
#include "daemon/control/quota.h"
#include "daemon/intake/intake.h"

#define CONNECTION_MAX \
	(INTAKE_SESSION_MAX + 64) /* the surplus: to tell those past the last session why they are refused */

struct connection {
	int fd; /* -1: free; once a session exists, the session's */
	uid_t uid;
	gid_t gid;
	const struct config_quota *quota; /* its user's, in the configuration */
	struct session *session;
	struct served *served; /* what it asked for, once it has said hello */
	bool is_waiting;       /* its hello is answered when a model has been loaded */
	uint64_t since_ns;
	union {
		struct abi_hello hello;
		struct abi_query query;
		uint8_t bytes[sizeof(struct abi_query) +
			      8]; /* a longer message is cut, and then none of ours by its length */
	} in;
};

struct connections {
	struct connection at[CONNECTION_MAX];
};

struct connection_count {
	uint32_t n, n_own; /* of anybody, of the uid */
};

void connections_init(struct connections *t);
/* Closes those that are left. Their sessions outlive them until the engines, which have stopped, let go of them. */
void connections_close(struct connections *t);
/* A place in the table, or NULL. */
struct connection *connections_find_free(struct connections *t);
/* s, which nobody holds any more, leaves its place. */
void connections_forget(struct connections *t, const struct session *s);

/* is_session: of those that have one. */
struct connection_count connections_count(const struct connections *t, uid_t uid, bool is_session);
/* What everybody's regions take, and the uid's. */
struct budget_use connections_bytes(const struct connections *t, uid_t uid);
/* A client has submitted what nobody has taken yet. What it claims is compared, and no more. */
bool connections_have_unread(const struct connections *t);
/* How many such entries there are, by their clients' word: of each no more than its ring has. */
uint64_t connections_unread(const struct connections *t);
uint32_t connections_unread_of(const struct session *s);

#endif
