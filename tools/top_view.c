#include "tools/top_view.h"
#include "tools/steps.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LINES 3u /* before the engines */

/* ---- readings ---- */

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* By the daemon's own names of the columns, so that it may have more of them. */
static const json_t *cell(const json_t *columns, const json_t *row, const char *name)
{
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *column = json_string_value(json_array_get(columns, i));

		if (column && !strcmp(column, name))
			return json_array_get(row, i);
	}
	return NULL;
}

static double figure(const json_t *columns, const json_t *row, const char *name)
{
	return json_number_value(cell(columns, row, name));
}

static const char *text_of(const json_t *j)
{
	return json_is_string(j) ? json_string_value(j) : "?";
}

static void read_rows(struct top_sample *s)
{
	const json_t *columns = json_object_get(s->all, "session_columns"),
		     *rows = json_object_get(s->all, "session_rows");
	size_t i;
	json_t *row;

	s->n = 0;
	s->n_out = (uint32_t)number(s->all, "session_rows_left_out");
	json_array_foreach(rows, i, row)
	{
		if (s->n == TOP_ROW_MAX)
			break;
		s->row[s->n++] = (struct top_row){ .model = text_of(cell(columns, row, "model")),
						   .id = (uint32_t)figure(columns, row, "session"),
						   .uid = (uint32_t)figure(columns, row, "uid"),
						   .n_session = 1,
						   .live = figure(columns, row, "live"),
						   .unread = figure(columns, row, "unread"),
						   .requests = figure(columns, row, "requests"),
						   .prompt = figure(columns, row, "prompt_tokens"),
						   .tokens = figure(columns, row, "generated_tokens") };
	}
}

int top_read(struct top_view *v, const struct args *a)
{
	int code = TOOL_OK;
	json_t *all = stats_ask(a, &code);

	if (!all)
		return code;
	json_decref(v->before.all);
	v->before = v->now;
	v->now.all = all;
	v->now.at_s = now_s();
	read_rows(&v->now);
	top_sort(v);
	return TOOL_OK;
}

void top_free(struct top_view *v)
{
	json_decref(v->before.all);
	json_decref(v->now.all);
	v->before.all = v->now.all = NULL;
}

/* ---- rows ---- */

static double span_s(const struct top_view *v)
{
	return v->before.all ? v->now.at_s - v->before.at_s : 0;
}

/* Of a counter, a second; 0 where there is nothing to compare with. */
static double rate(const struct top_view *v, double before, double now)
{
	return span_s(v) > 0 && now > before ? (now - before) / span_s(v) : 0;
}

static void set_rates(const struct top_view *v, struct top_row *r)
{
	static const struct top_row none;
	const struct top_row *old = &none; /* a new session's all is of this span */

	for (uint32_t i = 0; i < v->before.n; i++)
		if (v->before.row[i].id == r->id)
			old = &v->before.row[i];
	r->request_rate = rate(v, old->requests, r->requests);
	r->prompt_rate = rate(v, old->prompt, r->prompt);
	r->token_rate = rate(v, old->tokens, r->tokens);
}

static void add(struct top_row *sum, const struct top_row *r)
{
	sum->n_session++;
	sum->live += r->live;
	sum->unread += r->unread;
	sum->requests += r->requests;
	sum->prompt += r->prompt;
	sum->tokens += r->tokens;
	sum->request_rate += r->request_rate;
	sum->prompt_rate += r->prompt_rate;
	sum->token_rate += r->token_rate;
}

static void join_user(struct top_view *v, const struct top_row *r)
{
	uint32_t i = 0;

	while (i < v->n && v->row[i].uid != r->uid)
		i++;
	if (i == v->n)
		v->row[v->n++] = (struct top_row){ .id = r->uid, .uid = r->uid };
	add(&v->row[i], r);
}

static const char *const orders[TOP_ORDER_MAX] = { "tokens", "prompt", "requests", "live", "id" };

enum top_order top_order_of(const char *name)
{
	int i = 0;

	while (i < TOP_ORDER_MAX && strcmp(orders[i], name))
		i++;
	return (enum top_order)i;
}

/* Larger first; what is equal by number. */
static int compare(double a, double b, const struct top_row *x, const struct top_row *y)
{
	return a != b ? (a < b) - (a > b) : (x->id > y->id) - (x->id < y->id);
}

static int by_tokens(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	return compare(x->token_rate, y->token_rate, x, y);
}

static int by_prompt(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	return compare(x->prompt_rate, y->prompt_rate, x, y);
}

static int by_requests(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	return compare(x->request_rate, y->request_rate, x, y);
}

static int by_live(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	return compare(x->live, y->live, x, y);
}

static int by_id(const void *a, const void *b)
{
	return compare(0, 0, a, b);
}

void top_sort(struct top_view *v)
{
	static int (*const of[TOP_ORDER_MAX])(const void *, const void *) = { by_tokens, by_prompt, by_requests,
									      by_live, by_id };

	v->n = 0;
	for (uint32_t i = 0; i < v->now.n; i++) {
		struct top_row r = v->now.row[i];

		set_rates(v, &r);
		if (v->by_session)
			v->row[v->n++] = r;
		else
			join_user(v, &r);
	}
	qsort(v->row, v->n, sizeof(v->row[0]), of[v->order]);
}

/* ---- lines ---- */

static double total_rate(const struct top_view *v, const char *key)
{
	return rate(v, number(v->before.all, key), number(v->now.all, key));
}

/* "   KV 3.1 % of 64 blocks, 2 of 8 slots" */
static void put_pool(const struct top_view *v, char *line, size_t n)
{
	double n_block = number(v->now.all, "kv_blocks"), n_slot = number(v->now.all, "kv_slots");
	double used = n_block > 0 ? 100 * (1 - number(v->now.all, "kv_blocks_free") / n_block) : 0;
	int k = snprintf(line, n, "   KV %.1f %% of %.0f blocks", used, n_block);

	if (n_slot > 0 && (size_t)k < n)
		snprintf(line + k, n - (size_t)k, ", %.0f of %.0f slots", n_slot - number(v->now.all, "kv_slots_free"),
			 n_slot);
}

static void put_summary(const struct top_view *v, uint32_t i, char *line, size_t n)
{
	const json_t *all = v->now.all;

	if (i == 0)
		snprintf(line, n, "gyre top: gyred %s, %.0f threads, %s", text_of(json_object_get(all, "version")),
			 number(all, "threads"), text_of(json_object_get(all, "isa")));
	else if (i == 1)
		snprintf(line, n,
			 "sessions %.0f   requests live %.0f, %.1f/s   refused %.1f/s   preempted blocks %.1f/s",
			 number(all, "sessions"), number(all, "live"), total_rate(v, "requests"),
			 total_rate(v, "refused"), total_rate(v, "preempted"));
	else {
		int k = snprintf(line, n, "tokens/s: prompts %.1f, answers %.1f", total_rate(v, "tokens_prompt"),
				 total_rate(v, "tokens_generated"));

		if ((size_t)k < n)
			put_pool(v, line + k, n - (size_t)k);
	}
}

static void put_engine(const struct top_view *v, size_t i, char *line, size_t n)
{
	const json_t *now = json_array_get(json_object_get(v->now.all, "replicas"), i);
	const json_t *old = json_array_get(json_object_get(v->before.all, "replicas"), i);
	const char *model = json_string_value(json_object_get(now, "model"));
	double stalled_ms = number(now, "stalled_ms");
	int k = snprintf(line, n,
			 "engine %zu%s%.20s: threads %.0f   live %.0f   load %.0f rows   tokens/s %.1f   KV free %.0f",
			 i, model ? " " : "", model ? model : "", number(now, "threads"), number(now, "live"),
			 number(now, "load"), rate(v, number(old, "tokens_generated"), number(now, "tokens_generated")),
			 number(now, "kv_blocks_free"));

	if (stalled_ms > 0 && (size_t)k < n)
		snprintf(line + k, n - (size_t)k, "   STANDS for %.1f s", stalled_ms * 1e-3);
}

static void put_heading(const struct top_view *v, char *line, size_t n)
{
	if (v->by_session)
		snprintf(line, n, "%8s %-8s %-12s %5s %6s %7s %8s %8s %9s", "SESSION", "USER", "MODEL", "LIVE",
			 "UNREAD", "REQ/S", "PROMPT/S", "TOKENS/S", "TOKENS");
	else
		snprintf(line, n, "%8s %-10s %5s %6s %7s %7s %8s %8s %10s", "UID", "USER", "SESS", "LIVE", "UNREAD",
			 "REQ/S", "PROMPT/S", "TOKENS/S", "TOKENS");
}

static void put_row(const struct top_view *v, const struct top_row *r, char *line, size_t n)
{
	const struct passwd *user = getpwuid(r->uid);
	char own[16];
	const char *name = user ? user->pw_name : own;

	snprintf(own, sizeof(own), "%u", r->uid);
	if (v->by_session)
		snprintf(line, n, "%8u %-8.8s %-12.12s %5.0f %6.0f %7.1f %8.1f %8.1f %9.0f", r->id, name, r->model,
			 r->live, r->unread, r->request_rate, r->prompt_rate, r->token_rate, r->tokens);
	else
		snprintf(line, n, "%8u %-10.10s %5u %6.0f %7.0f %7.1f %8.1f %8.1f %10.0f", r->id, name, r->n_session,
			 r->live, r->unread, r->request_rate, r->prompt_rate, r->token_rate, r->tokens);
}

bool top_line(const struct top_view *v, uint32_t i, char *line, uint32_t width)
{
	uint32_t n_engine = (uint32_t)json_array_size(json_object_get(v->now.all, "replicas"));
	uint32_t first = HEAD_LINES + n_engine + 2;
	size_t n = (size_t)width + 1;

	*line = 0;
	if (i < HEAD_LINES)
		put_summary(v, i, line, n);
	else if (i < HEAD_LINES + n_engine)
		put_engine(v, i - HEAD_LINES, line, n);
	else if (i + 1 == first)
		put_heading(v, line, n);
	else if (i >= first && i - first < v->n)
		put_row(v, &v->row[i - first], line, n);
	else if (i >= first && v->now.n_out && i - first == v->n)
		snprintf(line, n, "%u sessions more than the daemon had room to tell of", v->now.n_out);
	else if (i >= first)
		return false;
	return true;
}
