/* `gyre bench serve`: what many clients get of a daemon, or of another server, under one load. tools/serve.h says how it is divided. */
#include "tools/serve.h"

#include <string.h>
#include <unistd.h>

#define CLIENTS  8u
#define REQUESTS 128u

/* Which numbers go together. */
static int set_numbers(struct serve *s, const struct serve_args *o)
{
	uint32_t clients = o->n_flight && o->n_flight < CLIENTS ? o->n_flight : CLIENTS;

	s->n_client = o->n_client ? o->n_client : clients;
	s->n_request = o->n_request ? o->n_request : REQUESTS;
	s->n_flight_max = o->n_flight || o->request_rate > 0 ? o->n_flight : s->n_client;
	s->n_uid = o->n_uid;
	if (s->n_flight_max && s->n_flight_max < s->n_client)
		return fail(TOOL_USAGE,
			    "--concurrency %u is less than one request for each of %u clients: lower --clients",
			    s->n_flight_max, s->n_client);
	if (o->n_group > 1 && !(o->shared_prefix > 0))
		return fail(TOOL_USAGE, "--prefix-groups: there is no prefix; give --shared-prefix, too");
	if (s->n_uid > s->n_client)
		return fail(TOOL_USAGE, "--uids %u: there are %u clients, and each is one user's; raise --clients",
			    s->n_uid, s->n_client);
	if (s->n_uid && o->openai)
		return fail(TOOL_USAGE, "--uids: a server on TCP does not know its clients' users; leave it out");
	if (s->n_uid && geteuid() != 0)
		return fail(TOOL_FAILED, "--uids: only root may start processes of other users; run it with sudo");
	return TOOL_OK;
}

/* The daemon's facts are asked for in a session that ends before the load. */
static int run_ring(struct serve *s, const struct args *a)
{
	struct link l;
	int code = link_open(&l, a);

	if (code != TOOL_OK)
		return code;
	s->carrier = &serve_ring;
	s->socket = l.daemon.pid ? l.daemon.socket : a->socket;
	if (s->n_uid && l.daemon.pid)
		code = fail(TOOL_FAILED,
			    "--uids: a private gyred is for its own user alone; start one that others reach");
	if (code == TOOL_OK)
		code = serve_ring_prepare(s, &l);
	gyre_close(l.g);
	l.g = NULL;
	if (code == TOOL_OK)
		code = serve_clients_run(s);
	link_close(&l);
	return code;
}

static int run_http(struct serve *s, const struct args *a)
{
	int code;

	if (a->socket)
		return fail(TOOL_USAGE, "--openai and --socket are two servers: give one");
	s->carrier = &serve_http;
	code = serve_openai_prepare(s);
	return code == TOOL_OK ? serve_clients_run(s) : code;
}

int bench_serve_main(const struct args *a)
{
	struct serve s = { .args = a };
	int code = set_numbers(&s, &a->serve);

	if (code == TOOL_OK)
		code = serve_figures_goals(&s.goals, a->serve.goodput);
	if (code == TOOL_OK)
		code = serve_load_plan(&s);
	if (code == TOOL_OK)
		code = a->serve.openai ? run_http(&s, a) : run_ring(&s, a);
	if (code == TOOL_OK)
		code = serve_print(&s);
	serve_openai_free(&s);
	serve_load_free(&s);
	return code;
}
