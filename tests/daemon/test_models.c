/*
 * Why: a model that comes or goes takes gigabytes from under threads that serve others. Nothing that runs may see it: the bytes of each
 * stream are those that its model gives alone, an entry is answered or waits, and memory is freed only when nobody can reach it.
 */
#include "daemon/util/counter.h"
#include "shm/atomic.h"
#include "tests/daemon/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define N_TOKEN  40u
#define N_THREAD 3u
#define WAIT_NS  60000000000ull

/* Two models: "m", the appliance's own, and "two". */
static struct appliance a;
static char two[128];
static struct tiny other;

static void setup_two(const char *idle_seconds)
{
	char *extra[] = { (char *)"--model",    two, (char *)"--name", (char *)"two", (char *)"--idle-seconds",
			  (char *)idle_seconds, NULL };

	snprintf(two, sizeof(two), "/tmp/gyre-test-two-%d.gguf", (int)getpid());
	other = tiny_served;
	other.n_head_kv = 4;
	other.n_ff = 192;
	other.n_layer = 1;
	other.type_embd = QUANT_Q4_0;
	assert_int_equal(tiny_write(two, &other), 0);
	appliance_open(&a, &tiny_served, extra, true);
}

static void teardown_two(void)
{
	appliance_close(&a);
	unlink(two);
}

static struct gyre *connect_to(const char *model)
{
	const struct gyre_params p = { .model = model };

	return appliance_connect(&a, &p);
}

static void submit(struct gyre *g, uint32_t max)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_non_null(sqe);
	assert_int_equal(gyre_prep_generate(g, sqe, "a question for two", 18, max), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	gyre_submit(g);
}

/* Reads a stream to its end: its tokens, and what its last completion says. */
static int collect(struct gyre *g, int32_t token[N_TOKEN], char *words, size_t n_words)
{
	uint32_t n = 0;

	memset(token, 0, N_TOKEN * sizeof(*token));
	for (;;) {
		const struct gyre_cqe *cqe;
		bool is_last;
		int res;

		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		res = cqe->res;
		if (!is_last && cqe->token >= 0 && n < N_TOKEN)
			token[n++] = cqe->token;
		if (res < 0) {
			size_t n_byte;
			const char *bytes = gyre_cqe_bytes(g, cqe, &n_byte);

			snprintf(words, n_words, "%.*s", (int)n_byte, bytes);
		}
		gyre_cqe_seen(g, cqe);
		if (is_last)
			return res < 0 ? res : 0;
	}
}

static void expect(const char *model, const int32_t want[N_TOKEN])
{
	struct gyre *g = connect_to(model);
	int32_t got[N_TOKEN];
	char words[256];

	submit(g, N_TOKEN);
	assert_int_equal(collect(g, got, words, sizeof(words)), 0);
	assert_memory_equal(got, want, sizeof(got));
	gyre_close(g);
}

/* What each gives alone. */
static int32_t want_one[N_TOKEN], want_two[N_TOKEN];

static void read_alone(const struct tiny *model, int32_t want[N_TOKEN])
{
	struct gyre *g;
	char words[256];

	appliance_open(&a, model, NULL, true);
	g = connect_to(NULL);
	submit(g, N_TOKEN);
	assert_int_equal(collect(g, want, words, sizeof(words)), 0);
	gyre_close(g);
	appliance_close(&a);
}

static int setup(void **state)
{
	(void)state;
	other = tiny_served;
	other.n_head_kv = 4;
	other.n_ff = 192;
	other.n_layer = 1;
	other.type_embd = QUANT_Q4_0;
	read_alone(&tiny_served, want_one);
	read_alone(&other, want_two);
	assert_memory_not_equal(want_one, want_two, sizeof(want_one));
	return 0;
}

/* ---- streams beside whatever happens ---- */

struct reader {
	pthread_t thread;
	const char *model;
	const int32_t *want;
	uint32_t is_stopping; /* atomic */
	uint32_t n_stream, n_wrong;
};

static void *reader_main(void *arg)
{
	struct reader *r = arg;
	struct gyre *g = connect_to(r->model);
	int32_t got[N_TOKEN];
	char words[256];

	do {
		submit(g, N_TOKEN);
		r->n_wrong += collect(g, got, words, sizeof(words)) != 0 || memcmp(got, r->want, sizeof(got)) != 0;
		r->n_stream++;
	} while (!load_relaxed(&r->is_stopping));
	gyre_close(g);
	return NULL;
}

static void start_readers(struct reader r[N_THREAD], const char *model, const int32_t *want)
{
	for (uint32_t i = 0; i < N_THREAD; i++) {
		r[i] = (struct reader){ .model = model, .want = want };
		assert_int_equal(pthread_create(&r[i].thread, NULL, reader_main, &r[i]), 0);
	}
}

static void stop_readers(struct reader r[N_THREAD])
{
	for (uint32_t i = 0; i < N_THREAD; i++) {
		store_relaxed(&r[i].is_stopping, 1);
		pthread_join(r[i].thread, NULL);
		assert_true(r[i].n_stream > 0);
		assert_int_equal(r[i].n_wrong, 0);
	}
}

static int ask(enum abi_query_kind what, const char *name, char *text, size_t n)
{
	return (int)gyre_query(a.socket, what, name, 60000, text, n);
}

static void must(enum abi_query_kind what, const char *name)
{
	char text[512];

	if (ask(what, name, text, sizeof(text)) != 0)
		fail_msg("%s: %s", name, text);
}

static void both_give_what_they_give_alone(void **state)
{
	static struct reader one[N_THREAD], second[N_THREAD];

	(void)state;
	setup_two("0");
	start_readers(one, NULL, want_one);
	start_readers(second, "two", want_two);
	usleep(200000);
	stop_readers(one);
	stop_readers(second);
	teardown_two();
}

/* From a lone engine, whose locks nobody takes, to two and back, again and again. */
static void one_comes_and_goes_beside_streams(void **state)
{
	static struct reader one[N_THREAD];

	(void)state;
	snprintf(two, sizeof(two), "/tmp/gyre-test-two-%d.gguf", (int)getpid());
	assert_int_equal(tiny_write(two, &other), 0);
	appliance_open(&a, &tiny_served, NULL, true);
	start_readers(one, NULL, want_one);
	for (int i = 0; i < 4; i++) {
		char name[64];

		must(ABI_QUERY_LOAD, two);
		snprintf(name, sizeof(name), "gyre-test-two-%d", (int)getpid());
		expect(name, want_two);
		must(ABI_QUERY_UNLOAD, name);
	}
	stop_readers(one);
	appliance_close(&a);
	unlink(two);
}

static void a_sleeper_is_woken_by_an_entry(void **state)
{
	struct gyre *g;
	int32_t got[N_TOKEN];
	char words[256], text[4096];

	(void)state;
	setup_two("1");
	g = connect_to("two");
	for (int i = 0; i < 2; i++) {
		do {
			usleep(50000);
			assert_true(ask(ABI_QUERY_MODELS, NULL, text, sizeof(text)) > 0);
		} while (!strstr(text, "asleep"));
		submit(g, N_TOKEN);
		assert_int_equal(collect(g, got, words, sizeof(words)), 0);
		assert_memory_equal(got, want_two, sizeof(got));
	}
	gyre_close(g);
	teardown_two();
}

/* ---- refusals ---- */

static void what_runs_keeps_its_model(void **state)
{
	const struct gyre_cqe *cqe;
	struct gyre *g;
	int32_t got[N_TOKEN];
	char words[256], text[512];

	(void)state;
	setup_two("0");
	g = connect_to("two");
	submit(g, 1000000); /* up to the context, and more than the ring holds: it pauses */
	assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
	assert_true(ask(ABI_QUERY_UNLOAD, "two", text, sizeof(text)) > 0);
	assert_string_equal(text, "two has 1 request under way: wait for it, or cancel it");
	gyre_prep_cancel(gyre_get_sqe(g), 0);
	gyre_submit(g);
	(void)collect(g, got, words, sizeof(words));
	gyre_close(g);
	teardown_two();
}

static void an_unloaded_one_is_named_and_comes_back(void **state)
{
	char words[256], text[512], why[256];
	const struct gyre_params p = { .model = "two", .error = why, .error_bytes = sizeof(why) };
	struct gyre *g, *refused;
	int32_t got[N_TOKEN];

	(void)state;
	setup_two("0");
	g = connect_to("two");
	must(ABI_QUERY_UNLOAD, "two");
	assert_int_equal(gyre_connect(&refused, a.socket, &p), -ENXIO);
	assert_string_equal(why, "two has been unloaded; gyre load two brings it back");
	submit(g, N_TOKEN);
	assert_int_equal(collect(g, got, words, sizeof(words)), -ENXIO);
	assert_string_equal(words, why);
	expect(NULL, want_one);
	must(ABI_QUERY_LOAD, "two");
	must(ABI_QUERY_LOAD, "two"); /* it is there: nothing to do */
	submit(g, N_TOKEN);
	assert_int_equal(collect(g, got, words, sizeof(words)), 0);
	assert_memory_equal(got, want_two, sizeof(got));
	assert_true(ask(ABI_QUERY_UNLOAD, "three", text, sizeof(text)) > 0);
	assert_string_equal(text, "no model is called 'three' here; there are m, two");
	gyre_close(g);
	teardown_two();
}

static void truncate_two(void)
{
	assert_int_equal(truncate(two, 1000), 0);
}

static void remove_two(void)
{
	assert_int_equal(unlink(two), 0);
}

/* What is broken while it is not loaded is refused, by each entry and by load; mended, it serves again. */
static void a_broken_file_disturbs_nobody(void **state)
{
	static void (*const harm[])(void) = { truncate_two, remove_two };
	static struct reader one[N_THREAD];
	char text[512], words[256];
	struct gyre *g;
	int32_t got[N_TOKEN];

	(void)state;
	setup_two("0");
	start_readers(one, "m", want_one);
	g = connect_to("two");
	for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
		must(ABI_QUERY_UNLOAD, "two");
		harm[i]();
		assert_true(ask(ABI_QUERY_LOAD, "two", text, sizeof(text)) > 0);
		assert_non_null(strstr(text, two)); /* which file */
		submit(g, N_TOKEN);
		assert_int_equal(collect(g, got, words, sizeof(words)), -ENXIO);
		assert_int_equal(strncmp(words, "two could not be loaded: ", 25), 0);
		assert_int_equal(tiny_write(two, &other), 0);
		must(ABI_QUERY_LOAD, "two");
		submit(g, N_TOKEN);
		assert_int_equal(collect(g, got, words, sizeof(words)), 0);
		assert_memory_equal(got, want_two, sizeof(got));
	}
	gyre_close(g);
	stop_readers(one);
	teardown_two();
}

/* One budget for all: what does not fit is refused with its arithmetic, and fits when another has gone. */
static void memory_is_one_budget(void **state)
{
	char *extra[] = { (char *)"--memory", (char *)"90M", (char *)"--kv-bytes", (char *)"4M", NULL };
	char name[64], text[512];

	(void)state;
	snprintf(two, sizeof(two), "/tmp/gyre-test-two-%d.gguf", (int)getpid());
	snprintf(name, sizeof(name), "gyre-test-two-%d", (int)getpid());
	assert_int_equal(tiny_write(two, &other), 0);
	appliance_open(&a, &tiny_served, extra, true);
	must(ABI_QUERY_LOAD, two);
	pool_set_budget(9 << 20);
	must(ABI_QUERY_UNLOAD, "m");
	assert_true(ask(ABI_QUERY_LOAD, "m", text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "MiB wanted, but of the 9 MiB of memory = in the configuration "));
	expect(name, want_two);
	must(ABI_QUERY_UNLOAD, name);
	must(ABI_QUERY_LOAD, "m");
	expect("m", want_one);
	appliance_close(&a);
	unlink(two);
	pool_set_budget(0);
}

/* A session's promises are of the geometry that it was welcomed with. */
static void another_file_ends_what_sessions_were_promised(void **state)
{
	struct tiny shorter = other;
	struct gyre *g;
	int32_t got[N_TOKEN];
	char words[256];

	(void)state;
	setup_two("0");
	g = connect_to("two");
	must(ABI_QUERY_UNLOAD, "two");
	shorter.n_ctx /= 2;
	assert_int_equal(tiny_write(two, &shorter), 0);
	must(ABI_QUERY_LOAD, "two");
	submit(g, N_TOKEN);
	assert_int_equal(collect(g, got, words, sizeof(words)), -ESTALE);
	assert_string_equal(words, "the file of two has changed since this session began: connect again");
	gyre_close(g);
	g = connect_to("two");
	submit(g, 8);
	assert_int_equal(collect(g, got, words, sizeof(words)), 0);
	gyre_close(g);
	teardown_two();
}

/* A session whose text is being copied, and one that leaves while its entry waits for the model. */
static void who_leaves_while_it_loads_leaves_nothing(void **state)
{
	char text[4096];

	(void)state;
	setup_two("1");
	for (int i = 0; i < 3; i++) {
		struct gyre *g = connect_to("two");

		do {
			usleep(50000);
			assert_true(ask(ABI_QUERY_MODELS, NULL, text, sizeof(text)) > 0);
		} while (!strstr(text, "asleep"));
		submit(g, N_TOKEN);
		gyre_close(g);
		expect("two", want_two);
	}
	while (counter_read32(&a.d.intake.roster.n_session))
		usleep(1000);
	assert_int_equal(counter_read32(&a.d.models.served[1].pool.n_live), 0);
	teardown_two();
}

/* As many as there are places for, over time; those of the configuration keep theirs. */
static void places_are_used_again(void **state)
{
	char file[16][96], text[512];

	(void)state;
	appliance_open(&a, &tiny_served, NULL, true);
	for (int i = 0; i < 10; i++) {
		const char *name = file[i] + 5;

		snprintf(file[i], sizeof(file[i]), "/tmp/gyre-test-%d-%d", (int)getpid(), i);
		assert_int_equal(tiny_write(file[i], i % 2 ? &other : &tiny_served), 0);
		must(ABI_QUERY_LOAD, file[i]);
		expect(name, i % 2 ? want_two : want_one);
		if (i > 4)
			must(ABI_QUERY_UNLOAD, name);
	}
	for (int i = 5; i < 7; i++)
		must(ABI_QUERY_LOAD, file[i]);
	assert_true(ask(ABI_QUERY_LOAD, file[9], text, sizeof(text)) > 0);
	assert_string_equal(text, "all 8 places for models are taken; unload one that the configuration does not name");
	expect(NULL, want_one);
	for (int i = 0; i < 10; i++)
		unlink(file[i]);
	appliance_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_give_what_they_give_alone),
		cmocka_unit_test(one_comes_and_goes_beside_streams),
		cmocka_unit_test(a_sleeper_is_woken_by_an_entry),
		cmocka_unit_test(what_runs_keeps_its_model),
		cmocka_unit_test(an_unloaded_one_is_named_and_comes_back),
		cmocka_unit_test(a_broken_file_disturbs_nobody),
		cmocka_unit_test(memory_is_one_budget),
		cmocka_unit_test(another_file_ends_what_sessions_were_promised),
		cmocka_unit_test(who_leaves_while_it_loads_leaves_nothing),
		cmocka_unit_test(places_are_used_again),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
