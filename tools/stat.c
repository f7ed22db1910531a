/*
 * `gyre stat`: the daemon's counters. With --steps, where the time of the steps of the last second went: on a terminal again
 * every second, until Ctrl-C.
 */
#include "tools/tool.h"

#include "tools/steps.h"
#include "tools/watch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "replica 0   threads 1, live 0, ...": one line each. */
static void print_replicas(const json_t *replicas)
{
	size_t i;
	json_t *replica, *value;
	const char *key;

	json_array_foreach(replicas, i, replica)
	{
		const char *comma = "";

		printf("replica %-10zu ", i);
		json_object_foreach(replica, key, value)
		{
			if (json_is_string(value))
				printf("%s%s %s", comma, key, json_string_value(value));
			else
				printf("%s%s %lld", comma, key, (long long)json_integer_value(value));
			comma = ", ";
		}
		putchar('\n');
	}
}

static int print_counters(struct link *l, bool as_json)
{
	int code = TOOL_OK;
	const char *key;
	json_t *j = stats_query(l->g, &code), *value;

	if (!j)
		return code;
	json_object_set_new(j, "model", json_text(l->info.model, strlen(l->info.model)));
	if (as_json)
		return print_json(j);
	json_object_foreach(j, key, value)
	{
		char *v = json_dumps(value, JSON_ENCODE_ANY);

		if (json_is_array(value))
			print_replicas(value);
		else if (!json_is_object(value)) /* "step" is for --steps */
			printf("%-18s %s\n", key, json_is_string(value) ? json_string_value(value) : v);
		free(v);
	}
	json_decref(j);
	return TOOL_OK;
}

static int print_steps(struct link *l, bool as_json)
{
	static struct steps before, after, lap;
	bool is_live = !as_json && isatty(STDOUT_FILENO);
	int code = steps_query(l->g, &before);

	while (code == TOOL_OK) {
		sleep(1);
		code = steps_query(l->g, &after);
		if (code != TOOL_OK)
			break;
		lap = after;
		steps_subtract(&lap, &before);
		before = after;
		if (as_json)
			return print_json(steps_json(&lap));
		if (is_live)
			fputs("\033[H\033[2J", stdout);
		steps_print(&lap);
		fflush(stdout);
		if (!is_live)
			break;
	}
	return code;
}

int stat_main(const struct args *a)
{
	struct link l;
	int code = link_open(&l, a);

	if (code != TOOL_OK)
		return code;
	code = a->steps         ? print_steps(&l, a->json)
	       : a->watch_s > 0 ? watch_print(&l, a->watch_s, a->json)
				: print_counters(&l, a->json);
	link_close(&l);
	return code;
}
