/*
 * Why: servers are compared by these figures. So they have to be of what the clients saw: as many requests and tokens as the daemon says
 * it served, percentiles that another hand computes from the same records, a load that the seed alone makes and that is never more than
 * was asked for, and every refusal counted, with its words.
 */
#include "tests/tools/verbs.h"

#include <math.h>
#include <sys/stat.h>

#define RECORDS 512

/* The value of a metric of the daemon, over all its labels. */
static double metric(const char *name)
{
	size_t n = strlen(name);
	double sum = 0;
	char *text;

	expect("$G metrics", 0);
	text = strdup(out);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, name, n) && (line[n] == ' ' || line[n] == '{'))
			sum += strtod(strrchr(line, ' '), NULL);
	free(text);
	return sum;
}

/* $DIR/save, a line of JSON for each request, to record[]; how many. */
static size_t read_records(json_t **record)
{
	static char text[4 << 20];
	size_t n = 0;

	read_file("save", text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(n < RECORDS);
		record[n] = json_loads(line, 0, NULL);
		assert_non_null(record[n++]);
	}
	return n;
}

static void free_records(json_t **record, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_decref(record[i]);
}

static void figures_are_the_daemons_own(void **state)
{
	double prompt = metric("gyre_prompt_tokens_total"), generated = metric("gyre_generation_tokens_total");
	double requests = metric("gyre_requests_total");
	json_t *record[RECORDS], *j;
	double read = 0, written = 0;
	size_t n;

	(void)state;
	j = parse("$G bench serve --json --clients 3 --requests 25 --prompt-len 1-90 --output-len lognormal:9:0.7:40 "
		  "--save $DIR/save");
	n = read_records(record);
	assert_int_equal(n, 25);
	for (size_t i = 0; i < n; i++) {
		assert_true(number(record[i], "read_tokens") == number(record[i], "prompt_tokens"));
		assert_true(number(record[i], "written_tokens") == number(record[i], "output_tokens"));
		assert_int_equal(json_array_size(json_object_get(record[i], "itl_ms")) + 1,
				 (size_t)number(record[i], "output_tokens"));
		read += number(record[i], "prompt_tokens");
		written += number(record[i], "output_tokens");
	}
	free_records(record, n);
	assert_true(number(j, "completed") == 25 && number(j, "failed") == 0);
	assert_true(number(j, "total_input_tokens") == read && number(j, "total_output_tokens") == written);
	assert_true(fabs(number(j, "output_throughput") * number(j, "duration") / written - 1) < 1e-4);
	assert_true(metric("gyre_prompt_tokens_total") - prompt == read);
	assert_true(metric("gyre_generation_tokens_total") - generated == written);
	assert_true(metric("gyre_requests_total") - requests == 25 + 1); /* and the words, tokenized */
	json_decref(j);
}

/* The block of vLLM, name by name, and below it the table. */
static void the_block_has_the_names_of_vllm(void **state)
{
	static const char *const name[] = { "Successful requests:                     6\n",
					    "Failed requests:                         0\n",
					    "Maximum request concurrency:             2\n",
					    "Benchmark duration (s):                  ",
					    "Total input tokens:                      60\n",
					    "Total generated tokens:                  24\n",
					    "Request throughput (req/s):              ",
					    "Request goodput (req/s):                 ",
					    "Output token throughput (tok/s):         ",
					    "Peak concurrent requests:                ",
					    "Total Token throughput (tok/s):          ",
					    "---------------Time to First Token----------------\n",
					    "Mean TTFT (ms):                          ",
					    "Median TTFT (ms):                        ",
					    "P99 TTFT (ms):                           ",
					    "-----Time per Output Token (excl. 1st token)------\n",
					    "P99 TPOT (ms):                           ",
					    "---------------Inter-token Latency----------------\n",
					    "P99 ITL (ms):                            ",
					    "----------------End-to-end Latency----------------\n",
					    "P99 E2EL (ms):                           ",
					    "==================================================\n",
					    "p99       max\n",
					    "Prompts: token ids; 2 clients." };

	(void)state;
	expect("$G bench serve --clients 2 --requests 6 --prompt-len 10 --output-len 4 --goodput e2el:1e9", 0);
	assert_ptr_equal(strstr(out, "============ Serving Benchmark Result ============\n"), out);
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strstr(out, name[i]))
			fail_msg("no '%s' in:\n%s", name[i], out);
	assert_string_equal(err, "");
}

/* How many are under way at the moment when the i-th is sent: of all, and of its client. */
static void count_overlap(json_t *const *record, size_t n, size_t i, uint32_t *all, uint32_t *own)
{
	double at = number(record[i], "sent_s");

	*all = *own = 0;
	for (size_t k = 0; k < n; k++) {
		double sent = number(record[k], "sent_s");

		if (sent > at || sent + number(record[k], "e2el_ms") * 1e-3 <= at)
			continue;
		++*all;
		*own += number(record[k], "client") == number(record[i], "client");
	}
}

static void a_closed_loop_keeps_its_bound(void **state)
{
	json_t *record[RECORDS], *j;
	uint32_t most = 0;
	size_t n;

	(void)state;
	j = parse("$G bench serve --json --clients 3 --concurrency 7 --requests 60 --prompt-len 8 --output-len 1-30 "
		  "--save $DIR/save");
	n = read_records(record);
	assert_int_equal(n, 60);
	for (size_t i = 0; i < n; i++) {
		uint32_t all, own;

		count_overlap(record, n, i, &all, &own);
		assert_true(all <= 7 && own <= 3);
		most = all > most ? all : most;
	}
	assert_in_range(number(j, "max_concurrent_requests"), most, 7); /* its moment may be no request's own */
	free_records(record, n);
	json_decref(j);
}

/* Arrivals are the seed's; none is sent before its time, and their rate is what was asked for. */
static void arrivals_are_the_seeds(void **state)
{
	static const char *const line[] = {
		"$G bench serve --json --clients 2 --requests 300 --request-rate 1000 --prompt-len 1-5 --output-len 1 "
		"--seed 1 --save $DIR/save",
		"$G bench serve --json --clients 4 --requests 300 --request-rate 1000 --prompt-len 1-5 --output-len 1 "
		"--seed 1 --save $DIR/save",
		"$G bench serve --json --clients 4 --requests 300 --request-rate 1000 --prompt-len 1-5 --output-len 1 "
		"--seed 2 --save $DIR/save"
	};
	double due[3][RECORDS], length[3][RECORDS];
	json_t *record[RECORDS];

	(void)state;
	for (int k = 0; k < 3; k++) {
		json_t *j = parse(line[k]);

		assert_true(number(j, "completed") == 300);
		assert_int_equal(read_records(record), 300);
		for (size_t i = 0; i < 300; i++) {
			due[k][i] = number(record[i], "due_s");
			length[k][i] = number(record[i], "prompt_tokens");
			assert_true(number(record[i], "sent_s") >= due[k][i] - 1e-6);
			assert_true(!i || due[k][i] > due[k][i - 1]);
		}
		free_records(record, 300);
		json_decref(j);
	}
	assert_memory_equal(due[0], due[1], 300 * sizeof(double));
	assert_memory_equal(length[0], length[1], 300 * sizeof(double));
	assert_memory_not_equal(due[0], due[2], 300 * sizeof(double));
	assert_memory_not_equal(length[0], length[2], 300 * sizeof(double));
	assert_true(due[0][299] > 0.25 && due[0][299] < 0.36); /* 299 gaps of 1 ms */
}

static int compare(const void *x, const void *y)
{
	return (*(const double *)x > *(const double *)y) - (*(const double *)x < *(const double *)y);
}

/* Between the two ranks around it. */
static double percentile(double *x, size_t n, double p)
{
	double rank = (double)(n - 1) * p / 100;
	size_t low = (size_t)rank, high = low + (low < n - 1);

	qsort(x, n, sizeof(*x), compare);
	return x[low] * (1 - (rank - (double)low)) + x[high] * (rank - (double)low);
}

static void check_metric(const json_t *j, const char *metric_name, double *x, size_t n)
{
	static const struct {
		const char *name;
		double p;
	} rank[] = { { "median", 50 }, { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "max", 100 } };
	double mean = 0;
	char key[32];

	assert_true(n > 0);
	for (size_t i = 0; i < sizeof(rank) / sizeof(rank[0]); i++) {
		snprintf(key, sizeof(key), "%s_%s_ms", rank[i].name, metric_name);
		if (fabs(number(j, key) - percentile(x, n, rank[i].p)) > 1e-4 * number(j, key))
			fail_msg("%s: %g, not %g", key, number(j, key), percentile(x, n, rank[i].p));
	}
	for (size_t i = 0; i < n; i++)
		mean += x[i] / (double)n;
	snprintf(key, sizeof(key), "mean_%s_ms", metric_name);
	assert_true(fabs(number(j, key) - mean) <= 1e-4 * mean);
}

static void percentiles_are_those_of_the_records(void **state)
{
	static double ttft[RECORDS], tpot[RECORDS], e2el[RECORDS], gap[1 << 14];
	size_t n, n_tpot = 0, n_gap = 0, n_good = 0;
	json_t *record[RECORDS], *j;

	(void)state;
	j = parse("$G bench serve --json --clients 4 --requests 41 --prompt-len 1-60 --output-len 1-20 "
		  "--goodput 'ttft:5, tpot:1,e2el:20' --save $DIR/save");
	n = read_records(record);
	for (size_t i = 0; i < n; i++) {
		const json_t *gaps = json_object_get(record[i], "itl_ms");
		double sum = 0;

		ttft[i] = number(record[i], "ttft_ms");
		e2el[i] = number(record[i], "e2el_ms");
		for (size_t k = 0; k < json_array_size(gaps); k++)
			sum += gap[n_gap++] = json_number_value(json_array_get(gaps, k));
		assert_true(ttft[i] + sum <= e2el[i] + 1e-5);
		if (number(record[i], "written_tokens") > 1)
			tpot[n_tpot++] = (e2el[i] - ttft[i]) / (number(record[i], "written_tokens") - 1);
		n_good += ttft[i] <= 5 && e2el[i] <= 20 &&
			  (number(record[i], "written_tokens") == 1 || tpot[n_tpot - 1] <= 1);
	}
	assert_true(fabs(number(j, "request_goodput") * number(j, "duration") - (double)n_good) < 1e-3);
	check_metric(j, "ttft", ttft, n);
	check_metric(j, "tpot", tpot, n_tpot);
	check_metric(j, "itl", gap, n_gap);
	check_metric(j, "e2el", e2el, n);
	free_records(record, n);
	json_decref(j);
}

/* Those that are refused beside those that are not; the file's lines go round. */
static void a_refusal_is_counted_with_its_words(void **state)
{
	json_t *j, *failure;

	(void)state;
	expect("printf '# a comment of %200s\\n10,3\\n5000,4\\n20,5\\n' >$DIR/lengths", 0);
	j = parse("$G bench serve --json --clients 2 --requests 7 --lengths $DIR/lengths");
	assert_true(number(j, "completed") == 5 && number(j, "failed") == 2);
	assert_true(number(j, "total_input_tokens") == 10 + 20 + 10 + 20 + 10);
	assert_true(number(j, "total_output_tokens") == 3 + 5 + 3 + 5 + 3);
	assert_int_equal(json_array_size(json_object_get(j, "failures")), 1);
	failure = json_array_get(json_object_get(j, "failures"), 0);
	assert_true(number(failure, "count") == 2);
	assert_non_null(strstr(json_string_value(json_object_get(failure, "error")), "the context 1024 positions"));
	json_decref(j);
	expect("$G bench serve --clients 2 --requests 7 --lengths $DIR/lengths; rm $DIR/lengths", 0);
	assert_non_null(strstr(out, "\n2 failed: the prompt has 5000 tokens"));
	expect_words("$G bench serve --requests 2 --prompt-len 2000 --output-len 1", 1,
		     "no request succeeded: the prompt has 2000 tokens");
	assert_non_null(strstr(out, "Mean TTFT (ms):                          -\n"));
}

static void what_cannot_be_is_refused_with_the_remedy(void **state)
{
	static const char *const line[] = {
		"--clients 0",
		"from 1 to 4096",
		"--clients 4 --concurrency 3",
		"lower --clients",
		"--prompt-len 0",
		"'0' is none of N, LOW-HIGH",
		"--prompt-len 9-3",
		"such as 128, 16-512",
		"--output-len 12x",
		"'12x' is none of",
		"--output-len lognormal:10:nan:5",
		"is none of",
		"--prompt-len lognormal:10:1",
		"lognormal:MEDIAN:SIGMA:MOST",
		"--lengths /dev/null --prompt-len 3",
		"leave --prompt-len and --output-len out",
		"--shared-prefix 1.5",
		"from 0 to 1",
		"--prefix-groups 3",
		"give --shared-prefix, too",
		"--goodput ttft=3",
		"such as ttft:200,tpot:50",
		"--goodput ttft:-3",
		"no list of ttft",
		"--goodput itl:3",
		"no list of ttft",
		"--clients 2 --uids 3",
		"raise --clients",
		"--uids 2 --openai http://127.0.0.1:1",
		"leave it out",
		"--openai https://example.org",
		"there is no TLS here",
		"--openai example",
		"no address of plain HTTP",
		"--openai http://127.0.0.1:1 --socket x",
		"give one",
		"--request-rate 0",
		"is not a number from",
	};
	char command[256];

	(void)state;
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i += 2) {
		snprintf(command, sizeof(command), "$G bench serve %s", line[i]);
		expect_words(command, 2, line[i + 1]);
		assert_string_equal(out, "");
	}
	expect_words("$G bench serve --lengths /dev/null", 1, "no line of prompt_tokens,output_tokens");
	expect_words("$G bench serve --lengths $DIR/none", 1, "No such file");
	expect_words("echo 3 >$DIR/l; $G bench serve --lengths $DIR/l; code=$?; rm $DIR/l; (exit $code)", 1,
		     "line 1: not prompt_tokens,output_tokens");
	expect_words("$G bench serve --openai http://127.0.0.1:1", 3, "no server on http://127.0.0.1:1: start one");
	expect_words("$G bench serve --socket $DIR/none", 3, "no gyred on");
	expect_words("$G bench serve --requests 1 --save /nosuch/x", 1, "--save: /nosuch/x: No such file");
}

/* Other users are kept out by the folder, and let in when it is open. */
static void clients_are_users(void **state)
{
	json_t *j, *uids;
	double sum = 0;

	(void)state;
	if (geteuid() != 0) {
		expect_words("$G bench serve --uids 2", 1, "run it with sudo");
		return;
	}
	expect_words("$G bench serve --socket $DIR/s --uids 2 --requests 2", 1,
		     "who may write to the socket may connect");
	assert_int_equal(chmod(a.dir, 0711), 0);
	assert_int_equal(chmod(a.socket, 0777), 0);
	/* With arrivals each client has its own, every third, however late it is. */
	j = parse("$G bench serve --json --clients 3 --uids 2 --requests 12 --request-rate 1000 --prompt-len 5 "
		  "--output-len 1-9");
	uids = json_object_get(j, "uids");
	assert_int_equal(json_array_size(uids), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(number(json_array_get(uids, i), "uid") == 50000 + (double)i);
		assert_true(number(json_array_get(uids, i), "completed") == (i ? 4 : 8));
		sum += number(json_array_get(uids, i), "total_output_tokens");
	}
	assert_true(sum == number(j, "total_output_tokens"));
	json_decref(j);
	expect("$G bench serve --clients 2 --uids 2 --requests 4 --prompt-len 5 --output-len 3", 0);
	assert_non_null(strstr(out, "\n50001 "));
	expect_words("$G bench serve --socket $DIR/none --model $MODEL --uids 2", 1, "start one that others reach");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(figures_are_the_daemons_own),
		CASE(the_block_has_the_names_of_vllm),
		CASE(a_closed_loop_keeps_its_bound),
		CASE(arrivals_are_the_seeds),
		CASE(percentiles_are_those_of_the_records),
		CASE(a_refusal_is_counted_with_its_words),
		CASE(what_cannot_be_is_refused_with_the_remedy),
		CASE(clients_are_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
