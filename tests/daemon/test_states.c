/*
 * Why: a recurrent state has no earlier position, no block and one holder. Whatever the daemon does with it, guesses of which some are
 * wrong, company, a pool too small for all, a client that goes, a stream says what it says alone; and every slot comes back. Every
 * architecture with states is served here.
 */
#include "daemon/engine/demand.h"
#include "daemon/engine/room.h"
#include "daemon/model/arch.h"
#include "daemon/util/counter.h"
#include "tests/daemon/appliance.h"

#include <errno.h>

#define WAIT_NS  300000000000ull
#define N_PROMPT 200
#define N_TOKEN  100
#define N_CQ     32 /* completions: who does not read waits */
#define N_STREAM 4
#define CONFIG   "/tmp/gyre-test-states.conf"

struct said {
	uint32_t n;
	int32_t token[N_TOKEN];
	float logprob[N_TOKEN];
};

struct way {
	const char *n_draft, *kv_bytes; /* kv_bytes NULL: as many as gyred takes by itself */
	bool is_alone;
	const char *n_node; /* NULL: one */
};

static struct appliance a;
static struct tiny model;

static const struct engine *engine(void)
{
	return &a.d.models.served[0].engine[0];
}

/* What the prefix cache alone holds is as good as free. */
static uint32_t n_slot_free(void)
{
	return counter_read32(&engine()->kv.book->n_slot_free) + counter_read32(&engine()->prefix.n_slot);
}

static uint32_t n_block_free(void)
{
	return counter_read32(&engine()->kv.book->n_free) + counter_read32(&engine()->prefix.n_idle);
}

static void wait_for(uint32_t (*n)(void), uint32_t wanted)
{
	for (int i = 0; n() != wanted; i++) {
		assert_true(i < 60000);
		usleep(1000);
	}
}

/* What has ended gives back what it held at the next step. */
static void all_come_back(void)
{
	wait_for(n_slot_free, engine()->kv.book->n_slot);
	wait_for(n_block_free, engine()->kv.book->n_block);
}

static void open_daemon(const struct way *w)
{
	char *extra[] = { (char *)"--threads",
			  (char *)"2",
			  (char *)"--ctx",
			  (char *)"1024",
			  (char *)"--draft-min",
			  (char *)w->n_draft,
			  (char *)"--gap-ms",
			  (char *)"1",
			  (char *)"--nodes",
			  (char *)(w->n_node ? w->n_node : "1"),
			  w->kv_bytes ? (char *)"--kv-bytes" : NULL,
			  (char *)w->kv_bytes,
			  NULL };

	appliance_open(&a, &model, extra, true);
}

/* Drawn from three letters, so that what three of them were followed by is a guess, and often a wrong one. */
static void submit(struct gyre *g, uint64_t id, uint32_t n_token)
{
	static const struct gyre_bias bias[] = { { 'a', 60 }, { 'b', 60 }, { 'c', 60 } };
	const struct gyre_options drawn = { .temperature = 2, .seed = id, .n_bias = 3 };
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	char text[N_PROMPT];

	for (int i = 0; i < N_PROMPT; i++)
		text[i] = (char)('a' + i % 13 + (int)(id * 7 + (uint64_t)i / 100) % 11);
	assert_int_equal(gyre_prep_generate(g, sqe, text, N_PROMPT - 17 * id, n_token), 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &drawn, bias, NULL), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	sqe->user_data = id;
	gyre_submit(g);
}

static void collect(struct gyre *g, struct said *said)
{
	const struct gyre_cqe *cqe;
	bool is_last = false;

	for (; !is_last; gyre_cqe_seen(g, cqe)) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_true(cqe->res >= 0);
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		if (is_last)
			continue;
		assert_true(said->n < N_TOKEN);
		said->token[said->n] = cqe->token;
		said->logprob[said->n++] = cqe->logprob;
	}
}

/*
 * A client for each stream, one after the other; or all at once, but of the first half, which runs before the second is there, nothing
 * is read until that has ended.
 */
static void run(struct said said[N_STREAM], const struct way *w)
{
	const struct gyre_cqe *cqe;
	struct gyre *g[N_STREAM];

	memset(said, 0, N_STREAM * sizeof(*said));
	open_daemon(w);
	for (uint64_t id = 0; id < N_STREAM; id++) {
		g[id] = appliance_connect(&a, &(struct gyre_params){ .cq_entries = N_CQ });
		submit(g[id], id, N_TOKEN);
		if (w->is_alone)
			collect(g[id], &said[id]);
		else if (id < N_STREAM / 2)
			assert_int_equal(gyre_wait_cqe(g[id], &cqe, WAIT_NS), 0);
	}
	for (uint64_t i = 0; i < N_STREAM; i++) {
		uint64_t id = (i + N_STREAM / 2) % N_STREAM;

		if (!w->is_alone)
			collect(g[id], &said[id]);
		assert_int_equal(said[id].n, N_TOKEN);
	}
	for (uint64_t id = 0; id < N_STREAM; id++)
		gyre_close(g[id]);
	all_come_back();
}

static void same(const struct said *want, const struct said *got, const char *how)
{
	for (int i = 0; i < N_STREAM; i++)
		if (memcmp(&want[i], &got[i], sizeof(*want)))
			fail_msg("%s: stream %d says something else %s", model.arch, i, how);
}

/* Bytes of a pool of so many slots, with fewer blocks than these can fill. */
static const char *pool_of(size_t n_slot, size_t n_block)
{
	static char text[24];
	struct kv_cost cost = room_cost(engine()->model);

	snprintf(text, sizeof(text), "%zu", cost.block ? kv_pool_bytes(&cost, n_block) : n_slot * cost.slot);
	return text;
}

static void what_it_says_is_what_it_says_alone(void **state)
{
	static struct said want[N_STREAM], got[N_STREAM];
	const char *small;

	(void)state;
	run(want, &(struct way){ "0", NULL, true, NULL });
	small = pool_of(2, 15); /* two slots; of blocks seven and a half each */
	appliance_close(&a);

	run(got, &(struct way){ "0", NULL, false, NULL });
	appliance_close(&a);
	same(want, got, "beside others");

	run(got, &(struct way){ "6", NULL, false, NULL });
	assert_true(spec_n_hit(&engine()->spec) > 0);
	assert_true(spec_n_guessed(&engine()->spec) > spec_n_hit(&engine()->spec));
	appliance_close(&a);
	same(want, got, "with guesses");

	run(got, &(struct way){ "6", NULL, false, "2" });
	appliance_close(&a);
	same(want, got, "on two nodes");

	run(got, &(struct way){ "6", small, false, NULL });
	assert_int_equal(engine()->kv.book->n_slot, 2);
	assert_true(counter_read(&engine()->sched.n_preempted) > 0);
	appliance_close(&a);
	same(want, got, "in a small pool");
}

/* Two that do not read hold both slots; one goes. */
static void who_goes_leaves_its_slot(void **state)
{
	struct said said = { 0 };
	struct gyre *g[3];
	const char *small;

	(void)state;
	open_daemon(&(struct way){ "0", NULL, false, NULL });
	small = pool_of(2, 15);
	appliance_close(&a);

	open_daemon(&(struct way){ "0", small, false, NULL });
	for (uint64_t id = 0; id < 2; id++) {
		g[id] = appliance_connect(&a, &(struct gyre_params){ .cq_entries = N_CQ });
		submit(g[id], id, N_TOKEN);
	}
	wait_for(n_slot_free, 0);
	gyre_close(g[0]);
	wait_for(n_slot_free, 1);
	g[2] = appliance_connect(&a, NULL);
	submit(g[2], 2, N_TOKEN);
	collect(g[2], &said);
	gyre_close(g[1]);
	gyre_close(g[2]);
	all_come_back();
	appliance_close(&a);
}

/* Of a stream whose user may hold so many. */
static int outcome(uint32_t max_positions, char *words, size_t n)
{
	char *extra[] = { (char *)"--threads", (char *)"2", (char *)"--config", (char *)CONFIG, NULL };
	const struct gyre_cqe *cqe;
	const void *text;
	struct gyre *g;
	FILE *f;
	size_t n_text;
	int res;

	f = fopen(CONFIG, "w");
	assert_non_null(f);
	fprintf(f, "max-positions = %u\n", max_positions);
	fclose(f);
	appliance_open(&a, &model, extra, true);
	unlink(CONFIG);
	g = appliance_connect(&a, NULL);
	submit(g, 0, 10);
	do {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		res = cqe->res;
		text = gyre_cqe_bytes(g, cqe, &n_text);
		snprintf(words, n, "%.*s", (int)n_text, (const char *)text);
		gyre_cqe_seen(g, cqe);
	} while (cqe->flags & GYRE_CQE_MORE);
	gyre_close(g);
	appliance_close(&a);
	return res;
}

/* Its bytes are counted as those of positions are. */
static void a_state_counts_among_positions(void **state)
{
	char words[512];
	uint32_t n = N_PROMPT + 10;

	(void)state;
	open_daemon(&(struct way){ "0", NULL, false, NULL });
	n += room_state_positions(engine()->model);
	assert_true(n > N_PROMPT + 10);
	appliance_close(&a);
	assert_true(outcome(n, words, sizeof(words)) >= 0);
	assert_int_equal(outcome(n - 1, words, sizeof(words)), -EFBIG);
	assert_non_null(strstr(words, "for its state"));
}

/* What gyre plan --memory and gyre reserve say is what a load takes. */
static void it_takes_what_was_said(void **state)
{
	struct config_model own = { .kv_type = "f16", .n_ctx = 1024 };
	const struct kv_book *book;
	struct demand d;
	struct error e;
	size_t n = 0;

	(void)state;
	open_daemon(&(struct way){ "0", NULL, false, NULL });
	snprintf(own.file, sizeof(own.file), "%s", a.model);
	assert_int_equal(demand_read(&d, &own, &engine()->layout, &e), 0);
	assert_int_equal(d.cost.slot, model_slot_bytes(engine()->model));
	book = engine()->kv.book;
	for (uint32_t i = 0; i < model_n_node(engine()->model); i++)
		n += d.kv[i];
	assert_int_equal(n, book->n_block * d.cost.block + book->n_slot * d.cost.slot);
	appliance_close(&a);
}

static bool has_states(const struct arch *arch)
{
	for (size_t i = 0; i < arch->n_tensor; i++)
		if (arch->tensor[i].in & LAYER_STATE)
			return true;
	return false;
}

/* Some say by their numbers of KV heads which layers attend. */
static const struct __attribute__((packed)) {
	uint32_t type;
	uint64_t n;
	uint32_t v[2];
} heads_kv = { 4, 2, { 0, 2 } };
static const struct tiny_kv attends = { ".attention.head_count_kv", 9, &heads_kv, sizeof(heads_kv) };

static int set_model(void **state)
{
	(void)state;
	open_daemon(&(struct way){ "0", NULL, false, NULL });
	if (!engine()->kv.book->n_slot) {
		model.kv = &attends;
		model.n_kv = 1;
	}
	appliance_close(&a);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says_is_what_it_says_alone),
		cmocka_unit_test(who_goes_leaves_its_slot),
		cmocka_unit_test(a_state_counts_among_positions),
		cmocka_unit_test(it_takes_what_was_said),
	};
	int n = 0, r = 0;

	for (size_t i = 0; arch_at(i); i++) {
		if (!has_states(arch_at(i)))
			continue;
		model = tiny_served;
		model.arch = arch_at(i)->name;
		r += cmocka_run_group_tests_name(model.arch, tests, set_model, NULL);
		n++;
	}
	if (!n)
		fputs("no architecture of the table has states\n", stderr);
	return r + !n;
}
