/*
 * Users: what is scarce is divided between the uids that want it, so whoever opens more sessions or sends more entries divides
 * only its own part. A slot is a uid's from its first session until the last of its sessions and requests has gone; slots are
 * small numbers, so that each stage keeps what it counts by user in an array.
 * The table is changed under the lock of intake's handover; what else stands in a slot says whose it is.
 */
#ifndef GYRE_DAEMON_FLOW_USER_H
#define GYRE_DAEMON_FLOW_USER_H

#include <stdbool.h>
#include <stdint.h>

#define USER_MAX          2048u /* as many as sessions: each may be another uid's */
#define USER_MODEL_MAX    8u    /* SERVED_MAX */
#define USER_RATE_SECONDS 10u   /* what a user saves up of its tokens a second, at most */
#define USER_OUTRANK_MAX  16u   /* uids that the configuration lets outrank others */

struct session; /* daemon/session */

struct user {
	uint32_t uid, index;  /* index: in the table */
	uint32_t may_outrank; /* atomic: its requests above the default priority go before everybody's */
	uint32_t n_ref;       /* sessions that somebody still holds; 0: the slot is free */
	uint32_t n_extra
		[USER_MODEL_MAX]; /* atomic: of each model, its requests in places of the pool that sessions share */
	uint32_t n_request;       /* atomic: all of its requests, until each one's end has been told */
	uint32_t n_position;      /* atomic: of keys and values, that these may come to hold */
	uint32_t n_pinned[USER_MODEL_MAX]; /* atomic: of each model, positions that its requests pin, or are to */
	uint64_t used_ns;                  /* atomic: of steps, the time that its rows took */
	/* Atomic: its tokens were worth the time up to here, at so many a second; kept when it has gone. */
	uint64_t paid_ns;

	/* The watch's. */
	uint32_t n_session;   /* in the roster */
	struct session *turn; /* of these, in a circle: whose SQ is looked at next */
};

struct user_table {
	uint32_t n; /* slots that have ever been used */
	uint32_t n_outrank, outrank[USER_OUTRANK_MAX];
	struct user user[USER_MAX];
};

/*
 * The slot of uid, with one more session. There is always one: no more sessions than slots. What it has been charged is known as long as
 * none of the other slots has less.
 */
struct user *user_get(struct user_table *t, uint32_t uid);
void user_put(struct user *u);
/* Who may outrank others from now on: n uids, USER_OUTRANK_MAX at most. */
void user_set_outrank(struct user_table *t, uint32_t n, const uint32_t *uid);
/* n tokens of a user that may have `rate` a second (0: any number). */
void user_charge(struct user *u, uint32_t rate, uint32_t n, uint64_t now_ns);
/* How long until it is owed tokens again; 0: it is. */
uint64_t user_wait_ns(const struct user *u, uint64_t now_ns);
/* Places of a model's pool that all users' requests share. */
uint32_t user_count_extra(const struct user_table *t, uint32_t model);

#endif
