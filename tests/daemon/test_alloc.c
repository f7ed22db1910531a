/*
 * Why: an allocator on the step path is a lock, a page fault or a refusal in the middle of somebody's stream. The leader's
 * steps are run here by the test, with the allocator's own count of this thread's bytes around each; a client in another
 * thread makes them do everything there is to do.
 */
#include "tests/daemon/appliance.h"

#include <errno.h>

/* jemalloc's; not there in a build with sanitizers, which bring an allocator of their own. */
int mallctl(const char *name, void *old, size_t *old_n, void *new, size_t new_n) __attribute__((weak));

#define WAIT_NS 300000000000ull
#define N_LONG  12

static struct appliance a;
static uint32_t is_over; /* atomic: the client has had its last completion */

static struct gyre_sqe *entry(struct gyre *g)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	if (!sqe)
		abort();
	return sqe;
}

/* Takes completions until `n` requests have ended; aborts on an error, since cmocka's asserts belong to the other thread. */
static void take(struct gyre *g, int n)
{
	while (n) {
		const struct gyre_cqe *cqe;

		if (gyre_wait_cqe(g, &cqe, WAIT_NS) < 0 || (cqe->res < 0 && cqe->res != -ECANCELED))
			abort();
		n -= !(cqe->flags & GYRE_CQE_MORE);
		gyre_cqe_seen(g, cqe);
	}
}

static void generate(struct gyre *g, const char *text, size_t n, uint32_t max, const struct gyre_options *o,
		     const char *const *stop)
{
	static const struct gyre_bias bias[] = { { 5, 1 }, { 258, -1 } };
	struct gyre_sqe *sqe = entry(g);

	if (gyre_prep_generate(g, sqe, text, n, max) < 0 || (o && gyre_sqe_set_options(g, sqe, o, bias, stop) < 0))
		abort();
	sqe->flags |= GYRE_SQE_IGNORE_EOS | GYRE_SQE_WHOLE_CHARS;
	gyre_submit(g);
}

/* Greedy, every sampler at once, stop strings, alternatives. */
static void ask_for_text(struct gyre *g)
{
	static const char *const stop[] = { "no such text", "\x01\x02\x03" };
	const struct gyre_options every = { .temperature = 0.8f,
					    .top_k = 40,
					    .top_p = 0.9f,
					    .min_p = 0.01f,
					    .repetition_penalty = 1.1f,
					    .presence_penalty = 0.1f,
					    .frequency_penalty = 0.1f,
					    .n_top = 5,
					    .seed = 7,
					    .n_bias = 2,
					    .n_stop = 2 };
	const struct gyre_options plain = { .temperature = 1, .n_top = 1 };

	for (int i = 0; i < 3; i++) {
		generate(g, "one two three one two three one two", 35, 40, NULL, NULL);
		generate(g, "abc abc abc abc", 15, 40, &every, stop);
		generate(g, "xyz", 3, 40, &plain, NULL);
		take(g, 3);
	}
}

static void ask_for_the_rest(struct gyre *g)
{
	uint64_t space[8];
	struct gyre_chat chat = { .data = space, .size = sizeof(space) };
	struct gyre_sqe *sqe;

	if (gyre_prep_score(g, entry(g), "the context, and what follows it", 32, 12) < 0 ||
	    gyre_prep_tokenize(g, entry(g), "to be cut into tokens", 21) < 0)
		abort();
	gyre_prep_nop(entry(g));
	sqe = entry(g);
	if (gyre_chat_append_json(&chat, GYRE_ROLE_USER, "Hi", 2, "{\"name\":\"x\"}", 12) < 0 ||
	    gyre_prep_generate(g, sqe, chat.data, chat.n, 8) < 0)
		abort();
	sqe->flags |= GYRE_SQE_CHAT | GYRE_SQE_IGNORE_EOS;
	sqe->user_data = 9;
	gyre_submit(g);
	gyre_prep_cancel(entry(g), 9);
	gyre_submit(g);
	take(g, 5);
}

/* Vectors, bytes of ids, and a prompt that is told. */
static void ask_for_numbers(struct gyre *g)
{
	static const uint32_t id[] = { 104, 105 };
	const struct gyre_options mean = { .pooling = GYRE_POOLING_MEAN }, top = { .n_top = 3 };
	struct gyre_sqe *sqe = entry(g);

	if (gyre_prep_embed(g, sqe, "of this text a vector", 21) < 0 ||
	    gyre_sqe_set_options(g, sqe, &mean, NULL, NULL) < 0)
		abort();
	if (gyre_prep_detokenize(g, entry(g), id, 2) < 0)
		abort();
	sqe = entry(g);
	if (gyre_prep_generate(g, sqe, "a prompt that is told", 21, 8) < 0 ||
	    gyre_sqe_set_options(g, sqe, &top, NULL, NULL) < 0)
		abort();
	sqe->flags |= GYRE_SQE_ECHO;
	gyre_submit(g);
	take(g, 3);
}

/* A reason is written by whoever refuses: numbers of any size, on the leader, too. */
static void ask_wrongly(struct gyre *g)
{
	static const struct gyre_options odd[] = { { .temperature = -3e38f }, { .top_p = 1e-30f, .min_p = 2 } };
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe;

	for (int i = 0; i < 2; i++)
		if (gyre_prep_generate(g, sqe = entry(g), "xyz", 3, 4) < 0 ||
		    gyre_sqe_set_options(g, sqe, &odd[i], NULL, NULL) < 0)
			abort();
	entry(g)->opcode = 99;
	if (gyre_prep_generate(g, sqe = entry(g), "xyz", 3, 4) < 0)
		abort();
	sqe->deadline_ns = 1;
	if (gyre_prep_generate(g, sqe = entry(g), "\xff\xff\xff\x7f", 4, 4) < 0)
		abort();
	sqe->flags |= GYRE_SQE_TOKENS;
	gyre_submit(g);
	for (int i = 0; i < 5; i++) {
		if (gyre_wait_cqe(g, &cqe, WAIT_NS) < 0 || cqe->res >= 0 || !cqe->n_bytes)
			abort();
		gyre_cqe_seen(g, cqe);
	}
}

/* For the helper thread, as it has over 4 KiB. */
static void ask_helper(struct gyre *g)
{
	struct gyre_sqe *sqe = entry(g);
	char text[400 * 12 + 1];

	for (int i = 0; i < 400; i++)
		memcpy(text + i * 12, "<|im_start|>", 13);
	if (gyre_prep_generate(g, sqe, text, sizeof(text) - 1, 4) < 0)
		abort();
	sqe->flags |= GYRE_SQE_SPECIAL;
	gyre_submit(g);
	take(g, 1);
}

/* Many chunks; all at once are more than the smallest pool holds (one huge page), so some are preempted. */
static void ask_long(struct gyre *g)
{
	static char text[900];

	memset(text, 'a', sizeof(text));
	for (uint32_t i = 0; i < N_LONG; i++) {
		text[0] = (char)('A' + i); /* so that none has anything of another's */
		generate(g, text, sizeof(text) - i, 20, NULL, NULL);
	}
	take(g, N_LONG);
}

static void *client_main(void *arg)
{
	struct gyre *g;

	(void)arg;
	if (gyre_connect(&g, a.socket, NULL) < 0)
		abort();
	for (int i = 0; i < 2; i++) { /* once more, with everything grown that would grow */
		ask_for_text(g);
		ask_for_the_rest(g);
		ask_for_numbers(g);
		ask_helper(g);
		ask_wrongly(g);
		ask_long(g);
	}
	gyre_close(g);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
	watch_call(&a.d.intake.watch);
	return NULL;
}

static void step_allocates_nothing(void **state)
{
	char *n = *state; /* threads, each on a node of its own */
	char *extra[] = { (char *)"--draft-min",
			  (char *)"4",
			  (char *)"--threads",
			  n,
			  (char *)"--nodes",
			  n,
			  (char *)"--gap-ms",
			  (char *)"1",
			  (char *)"--kv-bytes",
			  (char *)"1M",
			  NULL };
	void *volatile waste;
	volatile uint64_t *allocated; /* the compiler takes malloc to write nothing we can see */
	uint64_t n_step = 0, before;
	size_t size = sizeof(allocated);
	pthread_t client;

	if (!mallctl || mallctl("thread.allocatedp", &allocated, &size, NULL, 0)) {
		puts("skip: no jemalloc in this build, or one without statistics");
		skip();
	}
	is_over = 0;
	appliance_open(&a, &tiny_served, extra, false);
	assert_int_equal(pthread_create(&client, NULL, client_main, NULL), 0);
	for (; !__atomic_load_n(&is_over, __ATOMIC_ACQUIRE); n_step++) {
		before = *allocated;
		engine_step(&a.d.models.served[0].engine[0]);
		if (*allocated != before)
			fail_msg("step %llu allocated %llu bytes", (unsigned long long)n_step,
				 (unsigned long long)(*allocated - before));
	}
	pthread_join(client, NULL);
	/* The count counts, and the steps were those meant. */
	before = *allocated;
	waste = malloc(100);
	free(waste);
	assert_true(*allocated > before);
	assert_true(a.d.models.served[0].engine[0].spec.count[0].n_guessed > 0);
	assert_true(a.d.models.served[0].engine[0].sched.n_preempted > 0);
	assert_true(a.d.models.served[0].engine[0].sched.n_cache_hit > 0);
	assert_true(a.d.models.served[0].engine[0].prefix.n_evicted > 0);
	assert_true(a.d.models.served[0].engine[0].emit.n_token > 200);
	appliance_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "step allocates nothing", step_allocates_nothing, NULL, NULL, (void *)"1" },
		{ "a leader of two nodes allocates nothing", step_allocates_nothing, NULL, NULL, (void *)"2" },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
