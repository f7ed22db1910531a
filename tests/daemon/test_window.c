/*
 * Why: a model whose every layer has a window reads no position behind it, so a request may be longer than the pool; its blocks go
 * round. What it says must be what it says with all of them, to the byte, beside others that take blocks from it.
 */
#include "tests/daemon/appliance.h"

#define WAIT_NS  300000000000ull
#define N_PROMPT 400
#define N_TOKEN  40
#define N_STREAM 3

struct said {
	uint32_t n;
	int32_t token[N_TOKEN];
	float logprob[N_TOKEN];
};

static const struct tiny_kv window = { ".attention.sliding_window", 4, &(const uint32_t){ 70 }, 4 };

static void submit(struct gyre *g, uint64_t id)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	char text[N_PROMPT];

	for (int i = 0; i < N_PROMPT; i++)
		text[i] = (char)('a' + i % 13 + (int)(id * 7 + (uint64_t)i / 100) % 11);
	assert_int_equal(gyre_prep_generate(g, sqe, text, N_PROMPT - 17 * id, N_TOKEN), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	sqe->user_data = id;
}

/* bytes: of the pool; NULL: as many as gyred takes by itself. */
static void run(struct said said[N_STREAM], const char *bytes)
{
	static struct appliance a;
	struct tiny model = tiny_served;
	char *extra[] = {
		(char *)"--threads", (char *)"2", (char *)"--ctx", (char *)"512", bytes ? (char *)"--kv-bytes" : NULL,
		(char *)bytes,       NULL
	};
	const struct gyre_cqe *cqe;
	struct gyre *g;

	model.kv = &window;
	model.n_kv = 1;
	memset(said, 0, N_STREAM * sizeof(*said));
	appliance_open(&a, &model, extra, true);
	g = appliance_connect(&a, NULL);
	for (uint64_t id = 0; id < N_STREAM; id++)
		submit(g, id);
	gyre_submit(g);
	for (int n = N_STREAM; n; gyre_cqe_seen(g, cqe)) {
		struct said *to;

		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_true(cqe->res >= 0);
		to = &said[cqe->user_data];
		if (cqe->flags & GYRE_CQE_MORE) {
			assert_true(to->n < N_TOKEN);
			to->token[to->n] = cqe->token;
			to->logprob[to->n++] = cqe->logprob;
		} else {
			n--;
		}
	}
	gyre_close(g);
	appliance_close(&a);
}

static void a_pool_smaller_than_a_request_says_the_same(void **state)
{
	static struct said want[N_STREAM], got[N_STREAM];
	/* A block: two layers of two KV heads' K and V, 16 f16 numbers of 32 positions each. */
	const size_t block = (size_t)2 * 2 * 2 * 16 * 2 * 32;
	char bytes[24];

	(void)state;
	run(want, NULL);
	for (size_t n_block = 4; n_block <= 10; n_block += 3) {
		snprintf(bytes, sizeof(bytes), "%zu", n_block * block);
		run(got, bytes);
		assert_memory_equal(want, got, sizeof(want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_pool_smaller_than_a_request_says_the_same) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
