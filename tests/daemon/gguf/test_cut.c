/*
 * A piece is an address range that a caller's arithmetic on a stranger's metadata asks for. So whatever numbers come, a piece lies
 * within its tensor or is refused, and after it the model has these tensors and no others.
 */
#include "tests/daemon/gguf/gguf_build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct gguf_build b;
static struct error e;

/* A vector [12], a matrix [12][4], experts [3][4][4], all f32, and a vector that is none's business. */
static struct gguf *open_four(void)
{
	struct gguf *g = NULL;

	put_head(&b, 4, 0);
	put_tensor(&b, "vector", 0, 12, 0, 0);
	put_tensor(&b, "matrix", 0, 4, 12, 64);
	put_str(&b, "experts");
	put_u32(&b, 3);
	put_u64(&b, 4), put_u64(&b, 4), put_u64(&b, 3);
	put_u32(&b, 0);
	put_u64(&b, 256);
	put_tensor(&b, "other", 0, 4, 0, 448);
	put_align(&b, 32);
	assert_int_equal(gguf_parse(&g, b.p, b.n, b.n + 464, &e), 0);
	return g;
}

static const struct gguf_tensor *find(const struct gguf *g, const char *name)
{
	const struct gguf_tensor *t = gguf_tensor_find(g, name);

	if (!t)
		fail_msg("there is no %s", name);
	return t;
}

static void is_at(const struct gguf *g, const char *name, uint64_t offset, uint64_t bytes, uint64_t run, uint64_t gap)
{
	const struct gguf_tensor *t = find(g, name);

	assert_int_equal(t->offset - b.n, offset);
	assert_int_equal(t->bytes, bytes);
	assert_int_equal(t->run, run);
	assert_int_equal(t->gap, gap);
	assert_true(t->is_piece);
}

static void pieces_are_rows_at_a_period(void **state)
{
	struct gguf *g = open_four();
	const struct gguf_tensor *v = find(g, "vector"), *m = find(g, "matrix"), *x = find(g, "experts");
	const struct gguf_piece piece[] = { { v, "v0", 0, 5, 12 }, { v, "v1", 5, 7, 12 }, { m, "m0", 0, 1, 3 },
					    { m, "m1", 1, 2, 3 },  { x, "x0", 0, 2, 4 },  { x, "x1", 2, 2, 4 } };

	(void)state;
	assert_int_equal(gguf_cut(g, piece, 6, &e), 0);
	assert_int_equal(gguf_n_tensor(g), 7);
	is_at(g, "v0", 0, 20, 0, 0);
	is_at(g, "v1", 20, 28, 0, 0);
	is_at(g, "m0", 64, 64, 1, 2);
	is_at(g, "m1", 80, 128, 2, 1);
	is_at(g, "x0", 256, 96, 2, 2);
	is_at(g, "x1", 288, 96, 2, 2);
	assert_int_equal(find(g, "m1")->ne[1], 8);
	assert_int_equal(find(g, "x1")->ne[1], 2);
	assert_int_equal(find(g, "x1")->ne[2], 3);
	assert_int_equal(find(g, "v1")->ne[0], 7);
	assert_false(find(g, "other")->is_piece);
	assert_null(gguf_tensor_find(g, "matrix"));
	assert_ptr_equal(gguf_tensor_at(g, 6), find(g, "other"));
	gguf_close(g);
}

static void a_tensor_may_be_left_out(void **state)
{
	struct gguf *g = open_four();

	(void)state;
	assert_int_equal(gguf_cut(g, &(struct gguf_piece){ .of = find(g, "matrix") }, 1, &e), 0);
	assert_int_equal(gguf_n_tensor(g), 3);
	assert_null(gguf_tensor_find(g, "matrix"));
	assert_int_equal(gguf_cut(g, &(struct gguf_piece){ .of = find(g, "other") }, 1, &e), 0);
	assert_int_equal(gguf_n_left_out(g), 2);
	assert_true(gguf_str_eq(gguf_left_out_at(g, 0)->name, "matrix"));
	assert_true(gguf_str_eq(gguf_left_out_at(g, 1)->name, "other"));
	gguf_close(g);
}

static void refused(const char *of, const char *name, uint64_t first, uint64_t take, uint64_t period, const char *text)
{
	struct gguf *g = open_four();

	memset(&e, 0, sizeof(e));
	assert_int_equal(gguf_cut(g, &(struct gguf_piece){ find(g, of), name, first, take, period }, 1, &e), -EINVAL);
	if (!strstr(e.text, text))
		fail_msg("'%s' lacks '%s'", e.text, text);
	gguf_close(g);
}

static void numbers_that_leave_the_tensor_are_refused(void **state)
{
	(void)state;
	refused("matrix", "p", 0, 0, 12, "'matrix' of 12 rows");
	refused("matrix", "p", 0, 13, 12, "'matrix' of 12 rows");
	refused("matrix", "p", 1, 12, 12, "'matrix' of 12 rows");
	refused("matrix", "p", 13, UINT64_MAX, 12, "'matrix' of 12 rows");
	refused("matrix", "p", 2, UINT64_MAX - 1, 12, "'matrix' of 12 rows");
	refused("matrix", "p", UINT64_MAX, 1, 12, "'matrix' of 12 rows");
	refused("matrix", "p", 0, 1, 0, "'matrix' of 12 rows");
	refused("matrix", "p", 0, 1, 5, "'matrix' of 12 rows");
	refused("matrix", "p", 0, 1, 24, "'matrix' of 12 rows");
	refused("matrix", "p", 0, UINT64_MAX, UINT64_MAX, "'matrix' of 12 rows");
	refused("experts", "p", 0, 6, 12, "'experts' of 4 rows"); /* an expert's rows are one period or several */
	refused("vector", "p", 3, 4, 5, "'vector' of 12 rows");
	refused("matrix", "other", 0, 6, 12, "'other' appears twice");
}

static void what_is_a_piece_is_cut_no_further(void **state)
{
	struct gguf *g = open_four();
	const struct gguf_tensor *m = find(g, "matrix"), *v = find(g, "vector");
	const struct gguf_piece backwards[] = { { m, "a", 0, 6, 12 }, { v, "b", 0, 6, 12 } };

	(void)state;
	assert_int_equal(gguf_cut(g, backwards, 2, &e), -EINVAL);
	assert_int_equal(gguf_n_tensor(g), 4);
	assert_int_equal(gguf_cut(g, &(struct gguf_piece){ m, "a", 0, 2, 4 }, 1, &e), 0);
	assert_int_equal(gguf_cut(g, &(struct gguf_piece){ find(g, "a"), "b", 0, 2, 6 }, 1, &e), -EINVAL);
	gguf_close(g);
}

/* A vector of quantized blocks has no number that stands alone. */
static void a_quantized_vector_is_refused(void **state)
{
	struct gguf *g = NULL;

	(void)state;
	put_head(&b, 1, 0);
	put_tensor(&b, "q", 8, 64, 0, 0);
	put_align(&b, 32);
	assert_int_equal(gguf_parse(&g, b.p, b.n, b.n + 68, &e), 0);
	assert_int_equal(gguf_cut(g, &(struct gguf_piece){ find(g, "q"), "a", 0, 32, 64 }, 1, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "'q' is a vector of Q8_0"));
	gguf_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_rows_at_a_period),
		cmocka_unit_test(a_tensor_may_be_left_out),
		cmocka_unit_test(numbers_that_leave_the_tensor_are_refused),
		cmocka_unit_test(what_is_a_piece_is_cut_no_further),
		cmocka_unit_test(a_quantized_vector_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
