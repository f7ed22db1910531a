/*
 * Why: a NaN among the weights (of a file they are refused, but memory fails too) must not become an answer. The request whose numbers are none ends with its own error, which a
 * client cannot mistake for a token or a log-probability; whoever rides in the same step is not touched.
 */
#include "tests/daemon/appliance.h"

#include <errno.h>
#include <math.h>

#define WAIT_NS 60000000000ull
#define N_TOKEN 8

static struct appliance a;

static void open_with(const char *tensor, uint32_t row, const char *kv_type)
{
	char *extra[] = { (char *)"--kv-type", (char *)kv_type, (char *)"--drain-seconds", (char *)"0", NULL };

	appliance_open(&a, &tiny_served, extra, false);
	appliance_spoil(&a, tensor, row);
}

static void ask(struct gyre *g, uint64_t user_data, const char *text)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_int_equal(gyre_prep_generate(g, sqe, text, strlen(text), N_TOKEN), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	sqe->user_data = user_data;
}

struct said {
	int32_t res;
	uint32_t n;
	int32_t token[N_TOKEN];
};

/* Steps until n requests have ended. */
static void collect(struct gyre *g, struct said *said, uint32_t n)
{
	const struct gyre_cqe *cqe;

	gyre_submit(g);
	while (n) {
		engine_step(a.d.models.served[0].engine);
		while (gyre_peek_cqe(g, &cqe) == 0) {
			struct said *s = &said[cqe->user_data];

			assert_true(isfinite(cqe->logprob));
			if (cqe->flags & GYRE_CQE_MORE)
				s->token[s->n++] = cqe->token;
			else
				s->res = cqe->res, n--;
			gyre_cqe_seen(g, cqe);
		}
	}
}

/* Byte 'Z' is a token of its own, and its row of the embedding is the bad one. */
static void bad_row_case(const char *kv_type)
{
	struct said alone = { 0 }, said[3] = { 0 };
	struct gyre *g;

	open_with("token_embd.weight", 'Z', kv_type);
	g = appliance_connect(&a, NULL);
	ask(g, 0, "a healthy prompt");
	collect(g, &alone, 1);
	assert_true(alone.res >= 0);
	assert_int_equal(alone.n, N_TOKEN);
	ask(g, 0, "a prompt with Z in it");
	ask(g, 1, "a healthy prompt");
	ask(g, 2, "Z");
	collect(g, said, 3);
	assert_int_equal(said[0].res, -EDOM);
	assert_int_equal(said[0].n, 0);
	assert_int_equal(said[2].res, -EDOM);
	assert_true(said[1].res >= 0);
	assert_memory_equal(said[1].token, alone.token, sizeof(alone.token));
	assert_int_equal(a.d.models.served[0].engine->emit.n_fault, 2);
	gyre_close(g);
	appliance_close(&a);
}

/* A position behind Z is told of it by its keys and values alone. */
static void a_bad_row_ends_its_request_alone(void **state)
{
	(void)state;
	bad_row_case("f16");
	bad_row_case("q8_0");
}

/* The log-probability of Z is a NaN where those of all others are none. */
static void a_bad_score_ends_its_request(void **state)
{
	static const char *const text[] = { "an X", "a Z", "a Y" };
	struct said said[3] = { 0 };
	struct gyre *g;

	(void)state;
	open_with("token_embd.weight", 'Z', "f16");
	g = appliance_connect(&a, NULL);
	for (uint64_t i = 0; i < 3; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(g);
		size_t n = strlen(text[i]);

		assert_int_equal(gyre_prep_score(g, sqe, text[i], n, n - 1), 0);
		sqe->user_data = i;
	}
	collect(g, said, 3);
	assert_true(said[0].res >= 0);
	assert_int_equal(said[1].res, -EDOM);
	assert_true(said[2].res >= 0);
	gyre_close(g);
	appliance_close(&a);
}

static void layer_case(const char *tensor, const char *kv_type, int32_t layer)
{
	struct said said[2] = { 0 };
	struct gyre *g;

	open_with(tensor, 0, kv_type);
	g = appliance_connect(&a, NULL);
	ask(g, 0, "anything");
	ask(g, 1, "anything else");
	collect(g, said, 2);
	for (int i = 0; i < 2; i++)
		if (said[i].res != -EDOM || said[i].n)
			fail_msg("%s, KV %s: %d after %u tokens", tensor, kv_type, said[i].res, said[i].n);
	if (layer >= 0 && layer != a.d.models.served[0].engine->batch.fault_layer)
		fail_msg("%s: first seen in layer %d, not %d", tensor, a.d.models.served[0].engine->batch.fault_layer,
			 layer);
	gyre_close(g);
	appliance_close(&a);
}

/* The keys and values say where; a norm's NaN is in all that comes after it. */
static void the_layer_is_known(void **state)
{
	(void)state;
	layer_case("blk.0.attn_norm.weight", "f16", 0);
	layer_case("blk.0.ffn_norm.weight", "f16", 1);
	layer_case("blk.1.attn_norm.weight", "f16", 1);
	layer_case("blk.1.ffn_norm.weight", "f16", 2);
	layer_case("output_norm.weight", "f16", 2);
	layer_case("output_norm.weight", "q8_0", 2);
}

/* A scale that is a NaN in one row of any matrix: it meets quantized activations, keys or values, and must outlive them all. */
static void no_matrix_hides_it(void **state)
{
	static const char *const name[] = { "attn_q",   "attn_k", "attn_v",  "attn_output",
					    "ffn_gate", "ffn_up", "ffn_down" };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(name) / sizeof(name[0]); i++) {
		char tensor[48];

		snprintf(tensor, sizeof(tensor), "blk.0.%s.weight", name[i / 2]);
		layer_case(tensor, i % 2 ? "q8_0" : "f16", -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_row_ends_its_request_alone),
		cmocka_unit_test(a_bad_score_ends_its_request),
		cmocka_unit_test(the_layer_is_known),
		cmocka_unit_test(no_matrix_hides_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
