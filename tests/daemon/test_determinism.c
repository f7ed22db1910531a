/*
 * Why: a request's stream depends on the model, the prompt and the options, and on nothing else. Here the whole daemon is
 * asked, through its rings: whatever the instruction set, the threads, the nodes they are on, the
 * replicas, the rows of a step, the company in the
 * batch, guesses or none, whether its prompt is known or not, the completions are the same bytes. The portable kernels, one
 * thread, one token a step, define them.
 */
#include "daemon/util/counter.h"
#include "tests/daemon/appliance.h"
#include "tests/util/levels.h"

#define WAIT_NS  300000000000ull
#define N_PROMPT 540 /* past a chunk of attention */
#define N_TOKEN  24
#define N_BATCH  17

enum { GREEDY, SAMPLED, N_STREAM };

/* A completion without its time. */
struct said {
	int32_t res, token;
	uint32_t flags, index, n_bytes, n_top;
	float logprob;
	uint8_t bytes[GYRE_CQE_INLINE_BYTES];
	struct gyre_top top[3];
};

struct stream {
	uint32_t n;
	struct said said[N_TOKEN + 4];
};

struct way {
	enum kernels_isa isa;
	int n_thread, n_row, n_draft;
	bool is_alone;
	int n_node; /* 0: gyred's default */
	int n_replica;
};

static struct appliance a;
static struct tiny model;

static void submit(struct gyre *g, uint64_t id)
{
	static const struct gyre_options options[] = {
		[GREEDY] = { .n_top = 3 },
		[SAMPLED] = { .n_top = 3, .temperature = 0.9f, .top_p = 0.95f, .repetition_penalty = 1.1f, .seed = 5 },
	};
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	char text[N_PROMPT];

	/* Repeats itself, so that there is something to guess. */
	for (int i = 0; i < N_PROMPT; i++)
		text[i] = (char)('a' + i % 13 + (int)(id * 7 + (uint64_t)i / 100) % 11);
	assert_int_equal(gyre_prep_generate(g, sqe, text, id < N_STREAM ? N_PROMPT : 20 + id * 3, N_TOKEN), 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &options[id % N_STREAM], NULL, NULL), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	sqe->user_data = id;
}

static void keep(struct gyre *g, struct stream *s, const struct gyre_cqe *cqe)
{
	struct said *d = &s->said[s->n++];
	size_t n;

	assert_true(s->n <= sizeof(s->said) / sizeof(s->said[0]));
	d->res = cqe->res < 0 ? cqe->res : 0; /* how much of its prompt was known is not of the stream */
	d->token = cqe->token;
	d->flags = cqe->flags & ~GYRE_CQE_DRAFTED; /* how it came, not what it is */
	d->index = cqe->index;
	d->logprob = cqe->logprob;
	d->n_bytes = cqe->n_bytes;
	memcpy(d->bytes, cqe->bytes, sizeof(d->bytes));
	if (gyre_cqe_top(g, cqe, &n))
		memcpy(d->top, gyre_cqe_top(g, cqe, &n), n * sizeof(d->top[0]));
	d->n_top = (uint32_t)n;
}

/* Reads until n requests have ended; keeps the streams that are asked about. */
static void collect(struct gyre *g, struct stream *s, int n)
{
	const struct gyre_cqe *cqe;

	for (; n; gyre_cqe_seen(g, cqe)) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		n -= !(cqe->flags & GYRE_CQE_MORE);
		if (cqe->user_data < N_STREAM)
			keep(g, &s[cqe->user_data], cqe);
	}
}

static void ask(struct stream *s, bool is_alone)
{
	static const uint64_t order[N_BATCH] = { 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 11, 1, 12, 13, 14, 15, 16 };
	struct gyre *g = appliance_connect(&a, NULL);

	memset(s, 0, N_STREAM * sizeof(*s));
	for (uint64_t id = 0; is_alone && id < N_STREAM; id++) {
		submit(g, id);
		gyre_submit(g);
		collect(g, s, 1);
	}
	if (!is_alone) {
		for (int i = 0; i < N_BATCH; i++)
			submit(g, order[i]);
		gyre_submit(g);
		collect(g, s, N_BATCH);
	}
	gyre_close(g);
}

static uint64_t count_known(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < a.d.models.served[0].n_engine; i++)
		n += counter_read(&a.d.models.served[0].engine[i].sched.n_cache_hit);
	return n;
}

/* All of it once more: now what prompts begin with is known. */
static void ask_again(const struct stream *s, bool is_alone)
{
	const struct engine *e = &a.d.models.served[0].engine[0];
	static struct stream again[N_STREAM];
	uint64_t n_known = count_known();

	ask(again, is_alone);
	if (memcmp(s, again, sizeof(again)))
		fail_msg("what is known gives another stream");
	/* States of seventeen are more than there are slots, of several replicas one may have more to do than it saves, and where nothing is kept
	 * by position (a tiny nemotron_h) nothing is known. */
	if (!e->kv.book->n_slot && e->sched.o.block_len < N_PROMPT && a.d.models.served[0].n_engine == 1)
		assert_true(count_known() >= n_known + N_STREAM * (N_PROMPT - 40));
}

static void run(struct stream *s, const struct way *w)
{
	char thread[8], node[8], replica[8], row[8], draft[8];
	uint64_t n_hit = 0;
	char *extra[] = { (char *)"--isa",
			  (char *)kernels_isa_name(w->isa),
			  (char *)"--threads",
			  thread,
			  (char *)"--nodes",
			  node,
			  (char *)"--replicas",
			  replica,
			  (char *)"--batch-rows",
			  row,
			  (char *)"--draft-min",
			  draft,
			  NULL };

	snprintf(thread, sizeof(thread), "%d", w->n_thread);
	snprintf(node, sizeof(node), "%d", w->n_node);
	snprintf(replica, sizeof(replica), "%d", w->n_replica);
	snprintf(row, sizeof(row), "%d", w->n_row);
	snprintf(draft, sizeof(draft), "%d", w->n_draft);
	appliance_open(&a, &model, extra, true);
	ask(s, w->is_alone);
	ask_again(s, w->is_alone);
	for (uint32_t i = 0; i < a.d.models.served[0].n_engine; i++)
		n_hit += spec_n_hit(&a.d.models.served[0].engine[i].spec);
	assert_true(!w->n_draft || n_hit > 0);
	appliance_close(&a);
}

static void same(const struct stream *want, const struct stream *got, const struct way *w)
{
	for (int k = 0; k < N_STREAM; k++)
		for (uint32_t i = 0; i < want[k].n || i < got[k].n; i++)
			if (memcmp(&want[k].said[i], &got[k].said[i], sizeof(got[k].said[i])))
				fail_msg("%s, %d threads, %d nodes, %d replicas, %d rows, draft %d, %s: completion %u "
					 "of stream %d "
					 "differs",
					 kernels_isa_name(w->isa), w->n_thread, w->n_node, w->n_replica, w->n_row,
					 w->n_draft, w->is_alone ? "alone" : "among 17", i, k);
}

static void define(struct stream *want, const char *arch)
{
	const struct way definition = { ISA_REF, 1, 1, 0, true, 0, 1 };

	model = tiny_served;
	model.arch = arch;
	model.n_layer = 1;
	model.n_ff = 256; /* eight blocks: as many nodes at most */
	run(want, &definition);
	assert_int_equal(want[GREEDY].n, N_TOKEN + 1);
	assert_int_equal(want[SAMPLED].n, N_TOKEN + 1);
	assert_true(memcmp(&want[0].said[0], &want[0].said[1], sizeof(want[0].said[0])) != 0);
}

/*
 * Changing one thing a run would not show what two of them do to each other: all are crossed on the kernels that this machine
 * would take; of the others' ways, every fifth, in which each value of each dimension still occurs.
 */
static void nothing_but_the_request_matters(void **state)
{
	static const int n_row[] = { 80, 96, 160, 512 };
	static struct stream want[N_STREAM], got[N_STREAM];
	struct kernels k;
	const int best = (int)kernels_select(&k, ISA_MAX);

	(void)state;
	define(want, NULL);
	for (int isa = 0; isa < ISA_MAX; isa++) {
		if (!level_runs(isa))
			continue;
		for (int i = 0; i < 3 * 4 * 2 * 2; i += isa == best ? 1 : 5) {
			const struct way w = {
				(enum kernels_isa)isa, 1 + i % 3, n_row[i / 3 % 4], i / 12 % 2 * 4, i / 24, 0, 1
			};

			run(got, &w);
			same(want, got, &w);
		}
	}
	for (int i = 0; i < 4 * 3; i++) {
		static const int node[] = { 2, 3, 4, 8 };
		const struct way w = {
			(enum kernels_isa)best, node[i % 4] + i % 2, n_row[1 + i / 4], i % 3 * 2, i % 2, node[i % 4], 1
		};

		run(got, &w);
		same(want, got, &w);
	}
	for (int i = 0; i < 8; i++) { /* with one or two nodes each */
		const int n = 2 + i / 4, n_node = 1 + i % 2;
		const struct way w = {
			(enum kernels_isa)best, n * n_node + i % 2, n_row[i % 4], i / 2 % 2 * 4, false, n_node, n
		};

		run(got, &w);
		same(want, got, &w);
	}
}

/* A way of each dimension: what else crosses them is no architecture's (and each has all of it in model/test_forward). */
static void of_any_architecture(void **state)
{
	const struct way ways[] = { { ISA_MAX, 2, 96, 4, false, 0, 1 },
				    { ISA_MAX, 3, 512, 0, false, 2, 1 },
				    { ISA_MAX, 5, 80, 4, false, 2, 2 } };
	static struct stream want[N_STREAM], got[N_STREAM];

	(void)state;
	for (size_t i = 1; tiny_arch(i); i++) {
		define(want, tiny_arch(i));
		for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++) {
			struct way w = ways[k];
			struct kernels best;

			w.isa = kernels_select(&best, ISA_MAX);
			run(got, &w);
			same(want, got, &w);
		}
	}
}

/* In a pool that is full with the longest, who is preempted goes on from what it has left there; with each type of keys and values. */
static void what_is_known_gives_the_same(void **state)
{
	static const struct {
		const char *type, *bytes; /* some 700 positions */
	} kv[] = { { "f16", "88K" }, { "q8_0", "94K" }, { "f32", "176K" } };
	static struct stream want[N_STREAM], got[N_STREAM];
	uint64_t n_preempted = 0;

	(void)state;
	model = tiny_served;
	model.n_layer = 1;
	for (size_t i = 0; i < sizeof(kv) / sizeof(kv[0]); i++) {
		char *extra[] = { (char *)"--kv-type",
				  (char *)kv[i].type,
				  (char *)"--threads",
				  (char *)"2",
				  (char *)"--ctx",
				  (char *)"640",
				  (char *)"--kv-bytes",
				  (char *)kv[i].bytes,
				  (char *)"--prefix-cache",
				  (char *)"0",
				  NULL };

		appliance_open(&a, &model, extra, true);
		ask(want, true);
		appliance_close(&a);
		extra[9] = (char *)"1";
		appliance_open(&a, &model, extra, true);
		for (int k = 0; k < 2; k++) {
			ask(got, k == 0);
			assert_memory_equal(want, got, sizeof(got));
		}
		assert_true(count_known() > 0);
		n_preempted += a.d.models.served[0].engine[0].sched.n_preempted;
		appliance_close(&a);
	}
	assert_true(n_preempted > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_but_the_request_matters),
					    cmocka_unit_test(of_any_architecture),
					    cmocka_unit_test(what_is_known_gives_the_same) };

	cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
