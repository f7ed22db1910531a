#include "tools/watch.h"
#include "tools/steps.h"

#include <time.h>

#define HEAD_EVERY 20 /* lines */

/* A column: a counter's growth a second, or a gauge as it stands. */
static const struct {
	const char *key, *head;
	bool is_gauge;
} columns[] = {
	{ "requests", "req/s", false },         { "refused", "ref/s", false }, { "tokens_prompt", "prom/s", false },
	{ "tokens_generated", "tok/s", false }, { "steps", "turn/s", false },  { "preempted", "pre/s", false },
	{ "sessions", "sess", true },           { "live", "live", true },      { "kv_blocks_free", "kv free", true },
};

#define N_COLUMN (sizeof(columns) / sizeof(columns[0]))

struct sample {
	double at_s, v[N_COLUMN];
};

void watch_sleep(float seconds)
{
	const struct timespec t = { (time_t)seconds, (long)((seconds - (float)(time_t)seconds) * 1e9f) };

	nanosleep(&t, NULL);
}

static int take(struct link *l, struct sample *s)
{
	int code = TOOL_OK;
	json_t *j = stats_query(l->g, &code);

	s->at_s = now_s();
	for (size_t i = 0; j && i < N_COLUMN; i++)
		s->v[i] = json_number_value(json_object_get(j, columns[i].key));
	json_decref(j);
	return code;
}

/* A counter that fell is another daemon's. */
static double figure(const struct sample *a, const struct sample *b, size_t i)
{
	double grown = b->v[i] - a->v[i];

	return columns[i].is_gauge ? b->v[i] : grown > 0 ? grown / (b->at_s - a->at_s) : 0;
}

static void print_json_line(const struct sample *a, const struct sample *b)
{
	json_t *j = json_object();

	for (size_t i = 0; i < N_COLUMN; i++)
		json_object_set_new(j, columns[i].key, json_figure(figure(a, b, i)));
	print_json(j);
}

static void print_line(const struct sample *a, const struct sample *b)
{
	for (size_t i = 0; i < N_COLUMN; i++)
		printf("%8.*f", columns[i].is_gauge || figure(a, b, i) >= 100 ? 0 : 1, figure(a, b, i));
	putchar('\n');
}

static void print_head(void)
{
	for (size_t i = 0; i < N_COLUMN; i++)
		printf("%*s", 8, columns[i].head);
	putchar('\n');
}

int watch_print(struct link *l, float seconds, bool as_json)
{
	struct sample a, b;
	int code = take(l, &a);

	for (uint32_t n = 0; code == TOOL_OK; n++, a = b) {
		if (!as_json && n % HEAD_EVERY == 0)
			print_head();
		fflush(stdout);
		watch_sleep(seconds);
		code = take(l, &b);
		if (code != TOOL_OK)
			break;
		(as_json ? print_json_line : print_line)(&a, &b);
		if (fflush(stdout) != 0)
			break; /* nobody reads it any more */
	}
	return code;
}
