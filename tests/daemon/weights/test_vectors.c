/*
 * Why: converters give vectors axes of their own (a norm by groups, six mixes of a token with the one before it in a tensor of four axes),
 * and a vector that is taken for a matrix is packed: every number of it would be another's.
 */
#include "daemon/weights/weights.h"
#include "tests/util/teams.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define N_COL  24
#define N_MORE 6

static struct error e;

static enum plan_axis axis_of(const struct plan *of, const char *name, size_t n)
{
	(void)of;
	return n == 5 && !memcmp(name, "mixes", 5) ? PLAN_VECTOR : PLAN_COPY;
}

static int make_plan(struct plan *p, struct gguf *g, uint32_t n_node, struct error *why)
{
	const struct plan_shape s = { .n_embd = 16, .n_vocab = 256, .head_block = 1, .ff_block = 1 };
	int r = plan_make(p, &s, n_node, why);

	(void)g;
	p->axis = axis_of;
	return r;
}

static void put(FILE *f, const void *p, size_t n)
{
	assert_int_equal(fwrite(p, 1, n, f), n);
}

/* One tensor [N_MORE][1][1][N_COL] of floats that count up. */
static void write_file(const char *path)
{
	const uint32_t version = 3, n_dim = 4, type = QUANT_F32;
	const uint64_t n_tensor = 1, n_kv = 0, name = 5, ne[4] = { N_COL, 1, 1, N_MORE }, offset = 0;
	FILE *f = fopen(path, "wb");

	put(f, "GGUF", 4), put(f, &version, 4), put(f, &n_tensor, 8), put(f, &n_kv, 8);
	put(f, &name, 8), put(f, "mixes", 5), put(f, &n_dim, 4), put(f, ne, 32), put(f, &type, 4), put(f, &offset, 8);
	while (ftell(f) % 32)
		fputc(0, f);
	for (int i = 0; i < N_COL * N_MORE; i++)
		put(f, &(float){ (float)i }, 4);
	fclose(f);
}

static void a_vector_may_have_four_axes(void **state)
{
	char path[] = "/var/tmp/gyre-vectors-XXXXXX";

	(void)state;
	close(mkstemp(path));
	write_file(path);
	for (int n_node = 1; n_node <= 2; n_node++) {
		struct layout layout = layout_even(n_node, n_node);
		struct weights_options o = { .plan = make_plan, .layout = &layout, .n_thread = 1 };
		struct weights *w = NULL;

		if (weights_load(&w, path, &o, &e))
			fail_msg("%s", e.text);
		assert_true(w->tensor->is_vector && w->tensor->n_expert == 1 && w->tensor->n_row == 1);
		assert_int_equal(w->tensor->n_col, N_COL * N_MORE);
		assert_int_equal(w->tensor->n_part, n_node);
		for (int node = 0; node < n_node; node++)
			for (int i = 0; i < N_COL * N_MORE; i++)
				assert_true(((float *)w->tensor->part[node].data)[i] == (float)i);
		weights_free(w);
	}
	unlink(path);
}

static void no_other_tensor_may(void **state)
{
	char path[] = "/var/tmp/gyre-vectors-XXXXXX";
	struct weights *w = NULL;

	(void)state;
	close(mkstemp(path));
	write_file(path);
	assert_int_equal(weights_load(&w, path, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.text, "mixes"));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vector_may_have_four_axes),
		cmocka_unit_test(no_other_tensor_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
