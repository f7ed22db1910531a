/*
 * Why: a client that asks for no size of its own must be able to send whatever the context takes. Were its arena smaller, a prompt
 * would be refused as too long that is not.
 */
#include "tests/daemon/appliance.h"

#include <errno.h>

#define WAIT_NS 300000000000ull

static void open_served(struct appliance *a, uint32_t n_ctx)
{
	char ctx[16], *option[] = { (char *)"--ctx", ctx, (char *)"--threads", (char *)"1", NULL };
	struct tiny model = tiny_served;

	model.n_ctx = n_ctx;
	snprintf(ctx, sizeof(ctx), "%u", n_ctx);
	appliance_open(a, &model, option, true);
}

/* The longest prompt that gyred looks at, with all the options there are: what it then says is gyred's word. */
static void the_longest_prompt_fits_whatever_the_context(void **state)
{
	static const uint32_t n_ctx[] = { 512, 1u << 16, 1u << 17 };
	static const struct gyre_bias bias[GYRE_BIAS_MAX];
	char longest[GYRE_STOP_BYTES_MAX + 1] = "";
	const char *stop[GYRE_STOP_MAX];

	(void)state;
	memset(longest, 's', GYRE_STOP_BYTES_MAX);
	for (int i = 0; i < (int)GYRE_STOP_MAX; i++)
		stop[i] = longest;
	for (size_t i = 0; i < sizeof(n_ctx) / sizeof(n_ctx[0]); i++) {
		const struct gyre_options o = { .n_bias = GYRE_BIAS_MAX, .n_stop = GYRE_STOP_MAX };
		static struct appliance a;
		const struct gyre_cqe *cqe;
		struct gyre_info info;
		struct gyre_sqe *sqe;
		struct gyre *g;
		uint32_t n;
		char *text;

		open_served(&a, n_ctx[i]);
		g = appliance_connect(&a, NULL);
		gyre_info(g, &info);
		n = a.d.models.served[0].geometry.text_max;
		assert_true(n >= info.n_ctx);
		text = malloc(n);
		memset(text, 'a', n);
		sqe = gyre_get_sqe(g);
		assert_int_equal(gyre_prep_generate(g, sqe, text, n, 1), 0);
		assert_int_equal(gyre_sqe_set_options(g, sqe, &o, bias, stop), 0);
		assert_int_equal(gyre_submit(g), 1);
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_int_equal(cqe->res, -E2BIG); /* a byte is a token here */
		gyre_cqe_seen(g, cqe);
		free(text);
		gyre_close(g);
		appliance_close(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_longest_prompt_fits_whatever_the_context) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
