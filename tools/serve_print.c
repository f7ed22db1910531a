/* The figures as vLLM's block with a table of percentiles below it, as JSON with vLLM's keys, and each request as a line of JSON. */
#include "tools/serve.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define WIDTH 50

static const struct {
	const char *key, *name, *title;
} metric[SERVE_METRICS] = {
	[SERVE_TTFT] = { "ttft", "TTFT", "Time to First Token" },
	[SERVE_TPOT] = { "tpot", "TPOT", "Time per Output Token (excl. 1st token)" },
	[SERVE_ITL] = { "itl", "ITL", "Inter-token Latency" },
	[SERVE_E2EL] = { "e2el", "E2EL", "End-to-end Latency" },
};

static double rate(double n, const struct serve_figures *f)
{
	return f->seconds > 0 ? n / f->seconds : NAN;
}

/* ---- failures ---- */

static const char *words_of(const struct serve_request *r)
{
	if (r->end_s == 0)
		return "its client process ended before it";
	return *r->why ? r->why : strerror(-r->res);
}

static bool is_failed(const struct serve_request *r)
{
	return r->end_s == 0 || r->res < 0;
}

/* How many have failed in the words of request i, of which it is the first; 0: it has not failed, or is not the first. */
static uint32_t n_alike(const struct serve *s, uint32_t i)
{
	uint32_t n = 0;

	if (!is_failed(&s->request[i]))
		return 0;
	for (uint32_t k = 0; k < s->n_request; k++) {
		if (!is_failed(&s->request[k]) || strcmp(words_of(&s->request[k]), words_of(&s->request[i])))
			continue;
		if (k < i)
			return 0;
		n++;
	}
	return n;
}

/* ---- the block ---- */

static void print_title(const char *title, char fill)
{
	int n = WIDTH - (int)strlen(title), left = n / 2;

	for (int i = 0; i < left; i++)
		putchar(fill);
	fputs(title, stdout);
	for (int i = left; i < n; i++)
		putchar(fill);
	putchar('\n');
}

static void print_figure(const char *name, double x)
{
	char text[32];

	printf("%-40s %s\n", name, number_text(text, "%.2f", x));
}

static void print_count(const char *name, uint64_t n)
{
	printf("%-40s %llu\n", name, (unsigned long long)n);
}

static void print_counts(const struct serve *s, const struct serve_figures *f)
{
	print_count("Successful requests:", f->n_ok);
	print_count("Failed requests:", f->n_failed);
	if (s->n_flight_max)
		print_count("Maximum request concurrency:", s->n_flight_max);
	if (s->args->serve.request_rate > 0)
		print_figure("Request rate configured (RPS):", (double)s->args->serve.request_rate);
	print_figure("Benchmark duration (s):", f->seconds);
	print_count("Total input tokens:", f->n_read);
	print_count("Total generated tokens:", f->n_written);
	print_figure("Request throughput (req/s):", rate(f->n_ok, f));
	if (s->goals.is_set)
		print_figure("Request goodput (req/s):", rate(f->n_good, f));
	print_figure("Output token throughput (tok/s):", rate((double)f->n_written, f));
	print_count("Peak concurrent requests:", s->shared->n_flight_most);
	print_figure("Total Token throughput (tok/s):", rate((double)(f->n_read + f->n_written), f));
}

static void print_block(const struct serve *s, const struct serve_figures *f)
{
	static const char *const kind[] = { "Mean", "Median", "P99" };

	print_title(" Serving Benchmark Result ", '=');
	print_counts(s, f);
	for (int m = 0; m < SERVE_METRICS; m++) {
		const double x[] = { f->of[m].mean, f->of[m].p50, f->of[m].p99 };
		char name[32];

		print_title(metric[m].title, '-');
		for (int k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "%s %s (ms):", kind[k], metric[m].name);
			print_figure(name, x[k]);
		}
	}
	print_title("", '=');
}

/* ---- the tables ---- */

static void print_row(const double *x, size_t n)
{
	char text[32];

	for (size_t i = 0; i < n; i++)
		printf(" %9s", number_text(text, "%.2f", x[i]));
	putchar('\n');
}

static void print_percentiles(const struct serve_figures *f)
{
	printf("\n%-6s %9s %9s %9s %9s %9s\n", "ms", "mean", "p50", "p90", "p99", "max");
	for (int m = 0; m < SERVE_METRICS; m++) {
		const struct serve_summary *x = &f->of[m];

		printf("%-6s", metric[m].name);
		print_row((double[]){ x->mean, x->p50, x->p90, x->p99, x->max }, 5);
	}
}

/* share: of all generated tokens. */
static int print_uids(const struct serve *s, const struct serve_figures *all)
{
	printf("\n%-6s %8s %6s %9s %9s %9s %9s %9s %9s %9s\n", "uid", "requests", "failed", "out tok/s", "share",
	       "TTFT p50", "TTFT p99", "ITL p50", "ITL p99", "good/s");
	for (uint32_t i = 0; i < s->n_uid; i++) {
		const struct serve_summary *ttft, *itl;
		struct serve_figures f;

		if (serve_figures_make(s, i, &f) < 0)
			return -ENOMEM;
		ttft = &f.of[SERVE_TTFT];
		itl = &f.of[SERVE_ITL];
		printf("%-6u %8u %6u", SERVE_UID_FIRST + i, f.n_ok, f.n_failed);
		print_row((double[]){ rate((double)f.n_written, &f), (double)f.n_written / (double)all->n_written,
				      ttft->p50, ttft->p99, itl->p50, itl->p99,
				      s->goals.is_set ? rate(f.n_good, &f) : NAN },
			  7);
	}
	return 0;
}

static void print_prompts(const struct serve *s)
{
	printf("\nPrompts: %s; %u clients%s%s.\n",
	       s->id ? "token ids" : "texts of about as many tokens, a common word for each", s->n_client,
	       s->port ? " of " : "", s->port ? s->args->serve.openai : "");
}

static void print_failures(const struct serve *s)
{
	for (uint32_t i = 0; i < s->n_request; i++) {
		uint32_t n = n_alike(s, i);

		if (n)
			printf("%u failed: %s\n", n, words_of(&s->request[i]));
	}
}

/* ---- JSON ---- */

static void set_metric(json_t *j, int m, const struct serve_summary *x)
{
	const struct {
		const char *name;
		double ms;
	} figure[] = { { "mean", x->mean }, { "median", x->p50 }, { "p50", x->p50 },
		       { "p90", x->p90 },   { "p99", x->p99 },    { "max", x->max } };
	char key[32];

	for (size_t i = 0; i < sizeof(figure) / sizeof(figure[0]); i++) {
		snprintf(key, sizeof(key), "%s_%s_ms", figure[i].name, metric[m].key);
		json_object_set_new(j, key, json_figure(figure[i].ms));
	}
}

static json_t *figures_json(const struct serve *s, const struct serve_figures *f)
{
	json_t *j = json_pack("{s:i,s:i,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "completed", (int)f->n_ok, "failed",
			      (int)f->n_failed, "total_input_tokens", (json_int_t)f->n_read, "total_output_tokens",
			      (json_int_t)f->n_written, "duration", json_figure(f->seconds), "request_throughput",
			      json_figure(rate(f->n_ok, f)), "request_goodput",
			      s->goals.is_set ? json_figure(rate(f->n_good, f)) : json_null(), "output_throughput",
			      json_figure(rate((double)f->n_written, f)), "total_token_throughput",
			      json_figure(rate((double)(f->n_read + f->n_written), f)));

	for (int m = 0; j && m < SERVE_METRICS; m++)
		set_metric(j, m, &f->of[m]);
	return j;
}

static json_t *failures_json(const struct serve *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_request; i++) {
		const struct serve_request *r = &s->request[i];
		uint32_t n = n_alike(s, i);

		if (n)
			json_array_append_new(list, json_pack("{s:i,s:i,s:o}", "count", (int)n, "res",
							      r->end_s == 0 ? -ECHILD : r->res, "error",
							      json_text(words_of(r), strlen(words_of(r)))));
	}
	return list;
}

static json_t *uids_json(const struct serve *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_uid; i++) {
		struct serve_figures f;
		json_t *j;

		if (serve_figures_make(s, i, &f) < 0)
			break;
		j = figures_json(s, &f);
		if (j)
			json_object_set_new(j, "uid", json_integer(SERVE_UID_FIRST + i));
		json_array_append_new(list, j);
	}
	return list;
}

static int print_all_json(const struct serve *s, const struct serve_figures *f)
{
	json_t *j = figures_json(s, f);

	if (!j)
		return print_json(NULL);
	json_object_set_new(j, "num_prompts", json_integer(s->n_request));
	json_object_set_new(j, "max_concurrency", s->n_flight_max ? json_integer(s->n_flight_max) : json_null());
	json_object_set_new(j, "max_concurrent_requests", json_integer(s->shared->n_flight_most));
	json_object_set_new(j, "request_rate",
			    s->args->serve.request_rate > 0 ? json_figure((double)s->args->serve.request_rate)
							    : json_null());
	json_object_set_new(j, "clients", json_integer(s->n_client));
	json_object_set_new(j, "prompts", json_string(s->id ? "ids" : "text"));
	json_object_set_new(j, "model_id", json_string(s->model));
	json_object_set_new(j, "failures", failures_json(s));
	json_object_set_new(j, "uids", uids_json(s));
	return print_json(j);
}

/* ---- each request ---- */

static json_t *request_json(const struct serve *s, uint32_t i)
{
	const struct serve_request *r = &s->request[i];
	json_t *gaps = json_array();
	json_t *j =
		json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:o,s:f,s:o,s:o,s:o,s:o}", "request", (int)i, "client",
			  (int)r->client, "group", (int)r->group, "prompt_tokens", (int)r->n_prompt, "output_tokens",
			  (int)r->n_output, "read_tokens", (int)r->n_read, "written_tokens", (int)r->n_written, "uid",
			  s->n_uid ? json_integer(SERVE_UID_FIRST + r->client % s->n_uid) : json_null(), "due_s",
			  r->due_s, "sent_s", json_figure(r->sent_s > 0 ? r->sent_s - s->shared->begin_s : NAN),
			  "ttft_ms", json_figure(serve_figures_of(s, r, SERVE_TTFT)), "tpot_ms",
			  json_figure(serve_figures_of(s, r, SERVE_TPOT)), "e2el_ms",
			  json_figure(r->end_s > 0 ? serve_figures_of(s, r, SERVE_E2EL) : NAN));

	for (uint32_t k = 0; k + 1 < r->n_stamp; k++)
		json_array_append_new(gaps, json_real(serve_figures_gap(s, r, k)));
	if (!j)
		return NULL;
	json_object_set_new(j, "itl_ms", gaps);
	json_object_set_new(j, "error", is_failed(r) ? json_text(words_of(r), strlen(words_of(r))) : json_null());
	return j;
}

static int save(const struct serve *s, const char *path)
{
	FILE *f = fopen(path, "we");
	int r = f ? 0 : -1;

	for (uint32_t i = 0; i < s->n_request && r == 0; i++) {
		json_t *j = request_json(s, i);

		r = j ? json_dumpf(j, f, JSON_COMPACT | JSON_REAL_PRECISION(9)) : -1;
		json_decref(j);
		if (r == 0 && putc('\n', f) == EOF)
			r = -1;
	}
	if (f && fclose(f) != 0)
		r = -1;
	return r < 0 ? fail(TOOL_FAILED, "--save: %s: %s", path, strerror(errno)) : TOOL_OK;
}

int serve_print(const struct serve *s)
{
	const struct serve_args *o = &s->args->serve;
	struct serve_figures f;
	int code = o->save ? save(s, o->save) : TOOL_OK;

	if (serve_figures_make(s, SERVE_ALL_UIDS, &f) < 0)
		return fail(TOOL_FAILED, "no memory for the figures");
	if (s->args->json) {
		code = print_all_json(s, &f) == TOOL_OK ? code : TOOL_FAILED;
	} else {
		print_block(s, &f);
		print_percentiles(&f);
		if (s->n_uid > 1 && print_uids(s, &f) < 0)
			return fail(TOOL_FAILED, "no memory for the figures");
		print_prompts(s);
		print_failures(s);
	}
	for (uint32_t i = 0; i < s->n_request && !f.n_ok; i++)
		if (is_failed(&s->request[i]))
			return fail(TOOL_FAILED, "no request succeeded: %s", words_of(&s->request[i]));
	return code;
}
