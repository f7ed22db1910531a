/*
 * Why: who watches a daemon decides by its figures, so they must be those that clients would count themselves: of a thousand
 * requests that end in every way there is, exactly as many, with exactly as many tokens, at the moment when the last answer is there.
 */
#include "daemon/control/rows.h"
#include "tests/daemon/appliance.h"
#include "tests/util/prometheus.h"

#include <errno.h>
#include <jansson.h>

#define N_REQUEST   1000u
#define N_CLIENT    4u
#define WAIT_NS     300000000000ull
#define IM_END      257u
#define METRICS_MAX 400000u

static struct appliance a;
static char text[METRICS_MAX];

/* What the clients count. */
static struct {
	uint32_t n_stop, n_length, n_complete, n_abort, n_deadline, n_error, n_refused;
	uint64_t n_prompt, n_token, n_first, n_prompt_read;
} sum;

static int setup(void **state)
{
	(void)state;
	memset(&sum, 0, sizeof(sum));
	appliance_open(&a, &tiny_served, (char *const[]){ (char *)"--draft-min", (char *)"4", NULL }, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	appliance_close(&a);
	return 0;
}

static double metric(const char *name, const char *label)
{
	return prometheus_sum(text, name, label);
}

static void fetch(void)
{
	const char *wrong;
	ssize_t n = gyre_query(a.socket, ABI_QUERY_METRICS, NULL, 0, text, sizeof(text) - 1);

	assert_true(n > 0);
	strcpy(text + n, "\n"); /* which an answer is without */
	wrong = prometheus_check(text);
	if (wrong)
		fail_msg("%s", wrong);
}

/* Entry i: one of seven ways to end. */
static void submit(struct gyre *g, uint32_t i)
{
	const struct gyre_bias bias = { IM_END, 1e5f };
	const struct gyre_options says_end = { .n_bias = 1 };
	static char long_text[20000];
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	memset(long_text, 'a', sizeof(long_text));
	assert_non_null(sqe);
	if (i % 7 == 3)
		assert_int_equal(gyre_prep_score(g, sqe, "hello world", 11, 6), 0);
	else if (i % 7 == 4)
		assert_int_equal(gyre_prep_generate(g, sqe, long_text, sizeof(long_text), 4),
				 0); /* beyond the context */
	else
		assert_int_equal(gyre_prep_generate(g, sqe, "what a fine day", 4 + i % 11, 1 + i % 9), 0);
	sqe->user_data = i;
	if (i % 7 == 1)
		assert_int_equal(gyre_sqe_set_options(g, sqe, &says_end, &bias, NULL), 0);
	else if (i % 7 != 3)
		sqe->flags |= GYRE_SQE_IGNORE_EOS;
	if (i % 7 == 2)
		sqe->deadline_ns = 1;
	if (i % 7 == 5)
		sqe->max_tokens = 900; /* until it is cancelled */
	if (i % 7 == 6)
		sqe->reserved = 1; /* refused */
	assert_int_equal(gyre_submit(g), 1);
	if (i % 7 == 5) {
		sqe = gyre_get_sqe(g);
		gyre_prep_cancel(sqe, i);
		sqe->user_data = UINT64_MAX;
		assert_int_equal(gyre_submit(g), 1);
	}
}

static void count_end(const struct gyre_cqe *cqe, uint32_t i, uint32_t n_token)
{
	bool is_score = i % 7 == 3;

	if (i % 7 == 6) {
		assert_int_equal(cqe->res, -EINVAL);
		sum.n_refused++;
		return;
	}
	sum.n_stop += cqe->res >= 0 && (cqe->flags & GYRE_CQE_STOP);
	sum.n_complete += cqe->res >= 0 && is_score;
	sum.n_length += cqe->res >= 0 && !is_score && !(cqe->flags & GYRE_CQE_STOP);
	sum.n_abort += cqe->res == -ECANCELED;
	sum.n_deadline += cqe->res == -ETIME;
	sum.n_error += cqe->res == -E2BIG;
	sum.n_prompt += cqe->index;
	sum.n_token += is_score ? 0 : (uint32_t)cqe->token;
	sum.n_first += !is_score && cqe->token > 0;
	sum.n_prompt_read += cqe->token > 0 || (cqe->flags & GYRE_CQE_STOP) ? cqe->index : 0;
	assert_int_equal(cqe->token, n_token);
}

/* All completions of entry i, and of the CANCEL behind it. */
static void collect(struct gyre *g, uint32_t i)
{
	uint32_t n_left = i % 7 == 5 ? 2 : 1, n_token = 0;

	while (n_left) {
		const struct gyre_cqe *cqe;
		bool is_last;

		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		n_left -= is_last;
		if (cqe->user_data == i && is_last)
			count_end(cqe, i, n_token);
		n_token += cqe->user_data == i && !is_last && cqe->token >= 0;
		gyre_cqe_seen(g, cqe);
	}
}

static void expect(const char *name, const char *label, uint64_t n)
{
	if (metric(name, label) != (double)n)
		fail_msg("%s{%s} is %.0f, clients have counted %llu", name, label, metric(name, label),
			 (unsigned long long)n);
}

static void expect_sums(void)
{
	uint32_t n_ended = sum.n_stop + sum.n_length + sum.n_complete + sum.n_abort + sum.n_deadline + sum.n_error;

	expect("gyre_request_success_total", "finished_reason=\"stop\"", sum.n_stop);
	expect("gyre_request_success_total", "finished_reason=\"length\"", sum.n_length);
	expect("gyre_request_success_total", "finished_reason=\"complete\"", sum.n_complete);
	expect("gyre_request_success_total", "finished_reason=\"abort\"", sum.n_abort);
	expect("gyre_request_success_total", "finished_reason=\"deadline\"", sum.n_deadline);
	expect("gyre_request_success_total", "finished_reason=\"error\"", sum.n_error);
	expect("gyre_request_success_total", "", n_ended);
	expect("gyre_requests_total", "", n_ended);
	expect("gyre_refused_total", "malformed", sum.n_refused);
	expect("gyre_refused_total", "", sum.n_refused);
	expect("gyre_deadline_missed_total", "", sum.n_deadline);
	expect("gyre_cancelled_total", "client", sum.n_abort);
	expect("gyre_cancelled_total", "disconnect", 0);
	expect("gyre_prompt_tokens_total", "", sum.n_prompt_read);
	expect("gyre_generation_tokens_total", "", sum.n_token);
	expect("gyre_request_prompt_tokens_sum", "", sum.n_prompt);
	expect("gyre_request_generation_tokens_sum", "", sum.n_token);
	expect("gyre_e2e_request_latency_seconds_count", "", n_ended);
	expect("gyre_request_queue_time_seconds_count", "", n_ended);
	expect("gyre_request_prompt_tokens_count", "", n_ended);
	expect("gyre_request_generation_tokens_count", "", n_ended);
	expect("gyre_time_to_first_token_seconds_count", "", sum.n_first);
	expect("gyre_request_prefill_time_seconds_count", "", sum.n_first);
	expect("gyre_request_decode_time_seconds_count", "", sum.n_first);
	expect("gyre_inter_token_latency_seconds_count", "", sum.n_token - sum.n_first);
	assert_true(metric("gyre_decode_gap_seconds_count", "") <= (double)(sum.n_token - sum.n_first));
}

static void figures_are_the_clients_own_sums(void **state)
{
	struct gyre *g[N_CLIENT];

	(void)state;
	for (uint32_t k = 0; k < N_CLIENT; k++)
		g[k] = appliance_connect(&a, NULL);
	for (uint32_t i = 0; i < N_REQUEST; i += N_CLIENT) {
		for (uint32_t k = 0; k < N_CLIENT; k++)
			submit(g[k], i + k);
		for (uint32_t k = 0; k < N_CLIENT; k++)
			collect(g[k], i + k);
		if (i == N_REQUEST / 2) { /* amid the others, too */
			fetch();
			expect_sums();
		}
	}
	fetch();
	expect_sums();
	expect("gyre_sessions", "", N_CLIENT);
	expect("gyre_ring_depth", "", 0);
	assert_true(sum.n_stop && sum.n_length && sum.n_complete && sum.n_abort && sum.n_deadline && sum.n_error &&
		    sum.n_refused);
	assert_true(metric("gyre_draft_tokens_total", "") >= metric("gyre_draft_accepted_tokens_total", ""));
	assert_true(metric("gyre_node_read_bytes_total", "") > 0);
	assert_true(metric("process_resident_memory_bytes", "") > 0);
	assert_true(metric("process_open_fds", "") >= 3 * N_CLIENT);
	for (uint32_t k = 0; k < N_CLIENT; k++)
		gyre_close(g[k]);
}

/* Whose client goes is counted once, as an abort. */
static void who_goes_is_counted_once(void **state)
{
	struct gyre *g = appliance_connect(&a, NULL);
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	(void)state;
	assert_int_equal(gyre_prep_generate(g, sqe, "hello", 5, 1000), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
	do
		fetch();
	while (metric("gyre_requests_total", "") < 1);
	gyre_close(g);
	for (int i = 0; i < 30000 && metric("gyre_request_success_total", "") < 1; i++) {
		usleep(10000);
		fetch();
	}
	expect("gyre_request_success_total", "", 1);
	assert_true(metric("gyre_request_success_total", "finished_reason=\"abort\"") == 1 ||
		    metric("gyre_request_success_total", "finished_reason=\"length\"") == 1); /* it was faster */
	expect("gyre_cancelled_total", "", (uint64_t)metric("gyre_request_success_total", "finished_reason=\"abort\""));
}

/* ---- sessions in the statistics ---- */

static json_t *query_stats(void)
{
	static char stats[262144];
	json_error_t e;
	json_t *j;

	assert_true(gyre_query(a.socket, ABI_QUERY_STATS, "sessions", 0, stats, sizeof(stats)) > 0);
	j = json_loads(stats, 0, &e);
	if (!j)
		fail_msg("%s at %d: %s", e.text, e.position, stats);
	return j;
}

static void sessions_have_rows(void **state)
{
	struct gyre *g[2] = { appliance_connect(&a, NULL), appliance_connect(&a, NULL) };
	json_t *j, *rows;

	(void)state;
	submit(g[1], 0);
	collect(g[1], 0);
	j = query_stats();
	rows = json_object_get(j, "session_rows");
	assert_int_equal(json_array_size(rows), 2);
	assert_int_equal(json_integer_value(json_object_get(j, "session_rows_left_out")), 0);
	for (size_t i = 0; i < 2; i++) {
		const json_t *row = json_array_get(rows, i);

		assert_int_equal(json_array_size(row), json_array_size(json_object_get(j, "session_columns")));
		assert_int_equal(json_integer_value(json_array_get(row, 1)), getuid());
		assert_string_equal(json_string_value(json_array_get(row, 2)), "m");
		assert_int_equal(json_integer_value(json_array_get(row, 3)), i); /* requests */
	}
	json_decref(j);
	gyre_close(g[0]);
	gyre_close(g[1]);
}

/* However little room there is, what is written is part of an object, and says how many are missing. */
static void rows_fit_any_room(void **state)
{
	const struct abi_hello hello = { .sq_entries = 1, .cq_entries = 8, .arena_bytes = GYRE_ARENA_BYTES_MIN };
	static struct connections t;
	char part[4096], whole[4200];

	(void)state;
	connections_init(&t);
	for (uint32_t i = 0; i < 20; i++) {
		int pair[2];

		assert_int_equal(pipe(pair), 0);
		close(pair[1]);
		assert_int_equal(session_new(&t.at[i].session, NULL, pair[0], i, &hello), 0);
		t.at[i].fd = pair[0];
	}
	for (size_t room = 1; room < sizeof(part); room += 13) {
		size_t n = rows_write(&t, part, room);
		json_t *j;

		assert_true(n < room);
		snprintf(whole, sizeof(whole), "{%.*s}", (int)n, part);
		j = json_loads(whole, 0, NULL);
		assert_non_null(j);
		if (n)
			assert_int_equal(
				json_array_size(json_object_get(j, "session_rows")) +
					(size_t)json_integer_value(json_object_get(j, "session_rows_left_out")),
				20);
		json_decref(j);
	}
	connections_close(&t);
}

/* ---- what else names metrics ---- */

static void check_names(const char *expr)
{
	for (const char *at = expr; (at = strstr(at, "gyre_")); at++) {
		size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_");
		char name[96];

		snprintf(name, sizeof(name), "%.*s", (int)n, at);
		if (metric(name, "") < 0)
			fail_msg("there is no %s: %s", name, expr);
	}
}

static uint32_t check_exprs(json_t *j)
{
	const char *key;
	uint32_t n = 0;
	json_t *value;
	size_t i;

	json_array_foreach(j, i, value) n += check_exprs(value);
	json_object_foreach(j, key, value)
	{
		if (!strcmp(key, "expr") || !strcmp(key, "query")) {
			if (json_is_string(value))
				check_names(json_string_value(value));
			n += !strcmp(key, "expr");
		} else {
			n += check_exprs(value);
		}
	}
	return n;
}

static void the_dashboard_names_what_there_is(void **state)
{
	json_error_t e;
	json_t *j = json_load_file("tools/grafana/gyre.json", 0, &e);

	(void)state;
	if (!j)
		fail_msg("tools/grafana/gyre.json:%d: %s", e.line, e.text);
	fetch();
	assert_true(check_exprs(j) >= 12);
	assert_true(json_integer_value(json_object_get(j, "schemaVersion")) >= 36);
	assert_non_null(json_object_get(j, "uid"));
	json_decref(j);
}

/* Prometheus's own judge, where it is installed. */
static void promtool_finds_nothing(void **state)
{
	FILE *f;

	(void)state;
	if (system("command -v promtool >/dev/null") != 0) {
		puts("skip: promtool (Debian's prometheus) is not installed");
		skip();
	}
	fetch();
	f = popen("promtool check metrics", "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(pclose(f), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(figures_are_the_clients_own_sums),
		CASE(who_goes_is_counted_once),
		CASE(sessions_have_rows),
		cmocka_unit_test(rows_fit_any_room),
		CASE(the_dashboard_names_what_there_is),
		CASE(promtool_finds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
