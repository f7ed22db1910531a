/*
 * Why: a client reads what was said and how it ended, and nothing else. On the whole daemon: a bias makes the model say one token
 * for ever, so that each end can be met by each kind of token.
 */
#include "tests/daemon/appliance.h"

#include <errno.h>

#define WAIT_NS 300000000000ull
#define N_LONG  3000u
#define IM_END  257u

static struct appliance a;
static struct gyre *g;

static struct {
	char text[65536];
	size_t n, n_half;
	uint32_t n_token, flags;
	int res;
} got;

static int setup(void **state)
{
	struct tiny model = tiny_served;

	(void)state;
	model.n_long = N_LONG;
	appliance_open(&a, &model, NULL, true);
	g = appliance_connect(&a, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gyre_close(g);
	appliance_close(&a);
	return 0;
}

/* What the model says when it says `token` for ever. */
static void hear(uint32_t token, uint32_t max, const char *stop, uint8_t flags)
{
	const struct gyre_bias bias = { token, 1e5f };
	const struct gyre_options o = { .n_bias = 1, .n_stop = stop ? 1 : 0 };
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const struct gyre_cqe *cqe;

	memset(&got, 0, sizeof(got));
	assert_int_equal(gyre_prep_generate(g, sqe, "hello", 5, max), 0);
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, &bias, &stop), 0);
	sqe->flags |= flags;
	assert_int_equal(gyre_submit(g), 1);
	for (bool more = true; more; gyre_cqe_seen(g, cqe)) {
		const void *bytes;
		size_t n;

		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		bytes = gyre_cqe_bytes(g, cqe, &n);
		assert_true(got.n + n <= sizeof(got.text));
		memcpy(got.text + got.n, bytes, n);
		got.n += n;
		more = cqe->flags & GYRE_CQE_MORE;
		got.n_token += more && cqe->token >= 0;
		got.n_half = n;
		got.flags = cqe->flags;
		got.res = cqe->res;
	}
	assert_true(got.res >= 0);
}

static void a_control_token_is_stopped_at(void **state)
{
	(void)state;
	hear(IM_END, 10, "<|im_end|>", GYRE_SQE_IGNORE_EOS);
	assert_int_equal(got.n_token, 1);
	assert_int_equal(got.n, 0);
	assert_true(got.flags & GYRE_CQE_STOP);
	hear(IM_END, 10, "<|im_end|><|im", GYRE_SQE_IGNORE_EOS);
	assert_int_equal(got.n_token, 2);
	hear(IM_END, 10, "im_start", GYRE_SQE_IGNORE_EOS);
	assert_int_equal(got.n_token, 10);
	assert_false(got.flags & GYRE_CQE_STOP);
}

static void no_byte_of_a_long_token_is_lost(void **state)
{
	(void)state;
	hear(TINY_SERVED_VOCAB - 1, 3, NULL, 0);
	assert_int_equal(got.n, 3 * N_LONG);
	assert_int_equal(got.n_token, 3);
	for (size_t i = 0; i < got.n; i++)
		assert_int_equal(got.text[i], i % N_LONG < N_LONG - 3 ? '0' : "271"[i % N_LONG - N_LONG + 3]);
}

/* A ring that could never hold it is refused with a word; who asks for no size has one that can. */
static void a_ring_is_as_large_as_the_longest_token(void **state)
{
	char why[256] = "";
	struct gyre_params p = { .cq_entries = 8, .error = why, .error_bytes = sizeof(why) };
	struct gyre *small = NULL;

	(void)state;
	assert_int_equal(gyre_connect(&small, a.socket, &p), -EINVAL);
	assert_non_null(strstr(why, "completion ring of 10 entries"));
	p.cq_entries = 16;
	assert_int_equal(gyre_connect(&small, a.socket, &p), 0);
	gyre_close(g);
	g = small;
	no_byte_of_a_long_token_is_lost(state);
}

static void half_a_character_is_called_so(void **state)
{
	(void)state;
	hear(0xf0, 1, NULL, GYRE_SQE_WHOLE_CHARS);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.n_half, 1);
	assert_true(got.flags & GYRE_CQE_HALF);
	hear(0xf0, 1, NULL, 0);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.n_half, 0);
	assert_false(got.flags & GYRE_CQE_HALF);
	hear('x', 5, "y", GYRE_SQE_WHOLE_CHARS);
	assert_int_equal(got.n, 5);
	assert_int_equal(got.n_half, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(a_control_token_is_stopped_at), CASE(no_byte_of_a_long_token_is_lost),
					    CASE(a_ring_is_as_large_as_the_longest_token),
					    CASE(half_a_character_is_called_so) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
