/*
 * `gyre ls`, `gyre ps`, `gyre load`, `gyre unload`: the models of a daemon. They ask without a session, so they work when every place is
 * taken.
 */
#include "tools/tool.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES      65536
#define LOAD_TIMEOUT_MS 3600000u

static json_t *query_models(const struct args *a, int *code)
{
	static char text[TEXT_BYTES];
	ssize_t n = gyre_query(a->socket, ABI_QUERY_MODELS, NULL, 0, text, sizeof(text));
	json_t *j;

	if (n < 0) {
		*code = link_refuse(a, (int)n, text);
		return NULL;
	}
	j = json_loads(text, 0, NULL);
	*code = j ? TOOL_OK : fail(TOOL_FAILED, "gyred's answer is no list of models: it is of another version");
	return j;
}

static const char *string_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static long long number_of(const json_t *j, const char *key)
{
	return (long long)json_integer_value(json_object_get(j, key));
}

static const char *size_of(const json_t *j, const char *key, char *text, size_t n)
{
	double mib = (double)number_of(j, key) / (1 << 20);

	snprintf(text, n, mib >= 1024 ? "%.1f GiB" : "%.0f MiB", mib >= 1024 ? mib / 1024 : mib);
	return mib > 0 ? text : "-";
}

static int list(const struct args *a, bool is_ps)
{
	json_t *models, *m;
	size_t i;
	int code;

	models = query_models(a, &code);
	if (!models)
		return code;
	if (a->json)
		return print_json(models);
	printf(is_ps ? "%-24s %-8s %9s %9s %7s %5s %9s\n" : "%-24s %-8s %9s %9s %7s  %s\n", "NAME", "STATE", "WEIGHTS",
	       "KV", "CONTEXT", is_ps ? "LIVE" : "FILE", "REQUESTS");
	json_array_foreach(models, i, m)
	{
		char weights[32], kv[32];

		if (is_ps && !number_of(m, "bytes") && strcmp(string_of(m, "state"), "loading"))
			continue;
		printf("%-24s %-8s %9s %9s %7lld ", string_of(m, "name"), string_of(m, "state"),
		       size_of(m, "bytes", weights, sizeof(weights)), size_of(m, "kv_bytes", kv, sizeof(kv)),
		       number_of(m, "n_ctx"));
		if (is_ps)
			printf("%5lld %9lld\n", number_of(m, "live"), number_of(m, "requests"));
		else
			printf(" %s%s%s\n", string_of(m, "file"), *string_of(m, "why") ? ": " : "",
			       string_of(m, "why"));
	}
	json_decref(models);
	return TOOL_OK;
}

int ls_main(const struct args *a)
{
	return list(a, false);
}

int ps_main(const struct args *a)
{
	return list(a, true);
}

static int change(const struct args *a, enum abi_query_kind what)
{
	char text[1024], path[PATH_MAX];
	const char *name = a->word[0];
	ssize_t n;

	/* A file's path is the daemon's to open, and it stands elsewhere. */
	if (what == ABI_QUERY_LOAD && (strchr(name, '/') || access(name, F_OK) == 0) && realpath(name, path))
		name = path;
	n = gyre_query(a->socket, what, name, LOAD_TIMEOUT_MS, text, sizeof(text));
	if (n < 0)
		return link_refuse(a, (int)n, text);
	if (n > 0)
		return fail(TOOL_FAILED, "%s", text);
	if (!a->json)
		return TOOL_OK;
	return print_json(json_pack("{s:s,s:b}", "model", a->word[0], "loaded", what == ABI_QUERY_LOAD));
}

int load_main(const struct args *a)
{
	return change(a, ABI_QUERY_LOAD);
}

int unload_main(const struct args *a)
{
	return change(a, ABI_QUERY_UNLOAD);
}
