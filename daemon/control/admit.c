#include "daemon/control/admit.h"
#include "daemon/flow/grant.h"

#include "shm/atomic.h"

#include <errno.h>
#include <stdio.h>

/* A uid's first place is taken from nobody; it has more as long as it leaves more to others than it has. */
static bool has_place(struct connection_count now, uint32_t n_max)
{
	return now.n < n_max && (!now.n_own || n_max - now.n > now.n_own);
}

bool admit_connection(const struct connections *t, uid_t uid, struct connection_count *now)
{
	*now = connections_count(t, uid, false);
	return has_place(*now, CONNECTION_MAX);
}

static int check_place(const struct admit *a, const struct connection *n, char *text, size_t n_text)
{
	struct connection_count now = connections_count(a->connections, n->uid, true);

	if (a->is_draining) {
		snprintf(text, n_text, "gyred is shutting down");
		return -ESHUTDOWN;
	}
	if (n->quota->n_session && now.n_own >= n->quota->n_session) {
		snprintf(text, n_text, "uid %u has %u sessions, and may have %u (max-sessions); close one",
			 (unsigned)n->uid, now.n_own, n->quota->n_session);
		return -EUSERS;
	}
	if (has_place(now, INTAKE_SESSION_MAX))
		return 0;
	if (now.n == INTAKE_SESSION_MAX)
		snprintf(text, n_text, "gyred serves %u sessions already, and no more; close one", now.n);
	else
		snprintf(text, n_text, "uid %u has %u of gyred's %u sessions, the %u left are for others; close one",
			 (unsigned)n->uid, now.n_own, INTAKE_SESSION_MAX, INTAKE_SESSION_MAX - now.n);
	return -EUSERS;
}

/* The longest token of the vocabulary has to fit what a step may write: who asks for no size gets one that holds it. */
static int fit_ring(const struct served *s, struct abi_hello *h, char *text, size_t n)
{
	uint32_t least = grant_for(s->geometry.n_piece, 1), entries = GYRE_CQ_ENTRIES_DEFAULT;

	while (entries < least)
		entries *= 2;
	if (!h->cq_entries)
		h->cq_entries = entries;
	if (h->cq_entries >= least)
		return 0;
	snprintf(text, n, "the longest token of this model takes a completion ring of %u entries", least);
	return -EINVAL;
}

/* By the user's quota, whatever else there is room for. */
static int check_quota_bytes(const struct connection *n, uint64_t own, uint64_t want, char *text, size_t n_text)
{
	if (!n->quota->arena_bytes || own + want <= n->quota->arena_bytes)
		return 0;
	snprintf(text, n_text,
		 "%.1f MiB of rings and arena wanted, uid %u has %.1f MiB and may have %.1f (max-arena-bytes); ask for "
		 "a smaller arena, or close a session",
		 (double)want / (1 << 20), (unsigned)n->uid, (double)own / (1 << 20),
		 (double)n->quota->arena_bytes / (1 << 20));
	return -EDQUOT;
}

/* Room for the regions that the hello asks for. Sizes that there are none of are session_new's to refuse. */
static int check_bytes(const struct admit *a, const struct connection *n, char *text, size_t n_text)
{
	const struct abi_hello *h = &n->in.hello;
	struct budget_use use = connections_bytes(a->connections, n->uid);
	struct abi_hello usual = { 0 };
	struct region_layout l, ordinary;
	uint64_t want;

	(void)fit_ring(n->served, &usual, text, n_text);
	if (region_layout_init(&l, h->sq_entries, h->cq_entries, h->arena_bytes) < 0 ||
	    region_layout_init(&ordinary, 0, usual.cq_entries, n->served->geometry.arena_bytes) < 0)
		return 0;
	want = region_bytes(&l);
	if (check_quota_bytes(n, use.own, want, text, n_text) < 0)
		return -EDQUOT;
	if (budget_has_room(a->session_bytes, use, want, region_bytes(&ordinary)))
		return 0;
	snprintf(text, n_text,
		 "%.1f MiB of rings and arena wanted, uid %u has %.1f, all %.1f of gyred's %.1f MiB, and what is left "
		 "is "
		 "for others; ask for a smaller arena, close a session, or raise session-bytes",
		 (double)want / (1 << 20), (unsigned)n->uid, (double)use.own / (1 << 20), (double)use.all / (1 << 20),
		 (double)a->session_bytes / (1 << 20));
	return -EDQUOT;
}

static int refuse_model(const struct connection *n, char *text, size_t n_text)
{
	snprintf(text, n_text, "uid %u may not use the model %s; it may use %.100s (models): ask for one of these",
		 (unsigned)n->uid, n->served->name, n->quota->models);
	return -EACCES;
}

/* What sleeps is woken by the first request: its facts are known. */
static int find_model(const struct admit *a, struct connection *n, char *text, size_t n_text)
{
	uint32_t state;
	struct error e;

	n->in.hello.model[sizeof(n->in.hello.model) - 1] = 0;
	n->served = registry_find(a->models, n->in.hello.model, &e);
	if (!n->served) {
		snprintf(text, n_text, "%s", e.text);
		return -ENXIO;
	}
	if (!quota_has_model(n->quota, n->served->name))
		return refuse_model(n, text, n_text);
	state = load_relaxed(&n->served->state);
	if (state == SERVED_OFF) {
		snprintf(text, n_text, "%s has been unloaded; gyre load %s brings it back", n->served->name,
			 n->served->name);
		return -ENXIO;
	}
	if (state == SERVED_LOADING)
		return 1;
	if (n->served->geometry.n_ctx)
		return 0;
	snprintf(text, n_text, "%.*s", (int)n->served->why.n, n->served->why.text);
	return -ENXIO;
}

int admit_session(const struct admit *a, struct connection *n, char *text, size_t n_text)
{
	int r = find_model(a, n, text, n_text);

	if (r == 0)
		r = check_place(a, n, text, n_text);
	if (r != 0)
		return r;
	if (!n->in.hello.arena_bytes)
		n->in.hello.arena_bytes = n->served->geometry.arena_bytes;
	r = fit_ring(n->served, &n->in.hello, text, n_text);
	if (r == 0)
		r = check_bytes(a, n, text, n_text);
	return r;
}
