#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 600000u /* a daemon that the socket has started loads its models first */

static bool is_absent(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED;
}

/* Where gyre_connect looks, in its order. */
static int refuse_absent(const struct args *a)
{
	const char *named = getenv("GYRE_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");

	if (a->socket)
		return fail(TOOL_NO_DAEMON, "no gyred on %s: start one, or give --model FILE", a->socket);
	if (named && *named)
		return fail(
			TOOL_NO_DAEMON,
			"no gyred on %s, which $GYRE_SOCKET names: start one, or give --socket PATH or --model FILE",
			named);
	return fail(TOOL_NO_DAEMON,
		    "no gyred on %s%s/run/gyre/gyre.sock: start one, or give --socket PATH or --model FILE",
		    runtime && *runtime ? runtime : "", runtime && *runtime ? "/gyre.sock or " : "");
}

int link_refuse(const struct args *a, int r, const char *why)
{
	if (is_absent(r))
		return refuse_absent(a);
	return fail(TOOL_FAILED, "%s", *why ? why : strerror(-r)); /* it is there, and refuses */
}

bool link_is_file(const char *model)
{
	size_t n = strlen(model);

	return strchr(model, '/') || (n > 5 && !strcmp(model + n - 5, ".gguf"));
}

/* A daemon that its first client starts is there before its model is. */
#define LOADING_MS 600000u

static int connect_patiently(struct gyre **g, const char *socket, struct gyre_params *p)
{
	int r = gyre_connect(g, socket, p);

	if (r != -ETIMEDOUT)
		return r;
	fputs("gyre: gyred does not answer yet; it may be loading its model. Waiting; Ctrl-C ends this\n", stderr);
	p->connect_timeout_ms = LOADING_MS;
	return gyre_connect(g, socket, p);
}

int link_open(struct link *l, const struct args *a)
{
	char why[512] = "";
	struct gyre_params p = { .error = why, .error_bytes = sizeof(why) };
	bool is_named = a->model && !link_is_file(a->model);
	int r;

	memset(l, 0, sizeof(*l));
	p.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	p.model = is_named ? a->model : NULL;
	r = connect_patiently(&l->g, a->socket, &p);
	if (is_absent(r) && a->model && !is_named) {
		int code = private_start(&l->daemon, &l->g, a);

		if (code != TOOL_OK)
			return code;
	} else if (r < 0) {
		return link_refuse(a, r, why);
	}
	gyre_info(l->g, &l->info);
	if (a->model && !is_named && !l->daemon.pid)
		fprintf(stderr, "gyre: a gyred is listening and serves %s; --model is not used\n", l->info.model);
	return TOOL_OK;
}

const char *link_explain(const struct link *l, int res)
{
	static char text[192];

	switch (res) {
	case -EINVAL:
		return "the request is malformed";
	case -E2BIG:
		snprintf(text, sizeof(text),
			 "the text is longer than the context of %u tokens; shorten it, or give gyred a larger --ctx",
			 l->info.n_ctx);
		return text;
	case -EMSGSIZE: /* libgyre's */
		snprintf(text, sizeof(text),
			 "the text is longer than the %u bytes that gyred takes for a context of %u tokens; shorten "
			 "it, or give gyred a larger --ctx",
			 l->info.arena_bytes, l->info.n_ctx);
		return text;
	case -ENOSPC:
		return "the request exceeds gyred's KV memory; give it a larger --kv-bytes";
	case -EDOM:
		return "the model gave a NaN or an infinity: its file is damaged (download or quantize it again), or a "
		       "logit bias bans every token; gyred's log has more";
	case -EBUSY:
		return "gyred has no room for another request; try again";
	case -ESHUTDOWN:
		return "gyred is shutting down";
	case -ECONNRESET:
		return "gyred has gone";
	case -EPIPE:
		return "cannot write the output";
	default:
		return strerror(-res);
	}
}

void link_close(struct link *l)
{
	gyre_close(l->g);
	l->g = NULL;
	private_stop(&l->daemon);
}
