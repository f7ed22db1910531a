/*
 * A GGUF file comes from strangers, and every later stage indexes memory by what its header says. So no lie in it may
 * pass: each test takes a good file, tells one lie, and expects a refusal that names the culprit.
 */
#include "tests/daemon/gguf/gguf_build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct gguf_build b;
static struct error e;

static int parse(void)
{
	struct gguf *g = NULL;
	int r = gguf_parse(&g, b.p, b.n, b.n, &e);

	gguf_close(g);
	return r;
}

static void expect_refusal(const char *text)
{
	memset(&e, 0, sizeof(e));
	assert_int_equal(parse(), -EINVAL);
	if (!strstr(e.text, text))
		fail_msg("'%s' lacks '%s'", e.text, text);
}

/* Two f32 tensors, [4] at 0 and [2][8] at 32, and their 96 bytes. */
static void build_two(uint64_t offset0, uint64_t offset1, const char *name1)
{
	put_head(&b, 2, 1);
	put_kv_u32(&b, "llama.block_count", 7);
	put_tensor(&b, "one", 0, 4, 0, offset0);
	put_tensor(&b, name1, 0, 8, 2, offset1);
	put_align(&b, 32);
	for (uint32_t i = 0; i < 24; i++)
		put_u32(&b, i);
}

static void test_good(void **state)
{
	struct gguf *g = NULL;
	const struct gguf_tensor *t;
	uint32_t v = 0;

	(void)state;
	build_two(0, 32, "two");
	assert_int_equal(gguf_open(&g, build_file(&b), &e), 0);
	assert_int_equal(gguf_get_u32(g, "llama.block_count", &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(gguf_get_u32(g, "llama.nothing", &v), -ENOENT);
	t = gguf_tensor_find(g, "two");
	assert_non_null(t);
	assert_int_equal(t->bytes, 64);
	assert_int_equal(t->offset, b.n - 64);
	assert_null(gguf_tensor_find(g, "tw"));
	gguf_close(g);
	build_close(&b);
}

static void test_truncated_anywhere(void **state)
{
	struct gguf *g = NULL;
	size_t whole;

	(void)state;
	build_two(0, 32, "two");
	whole = b.n;
	for (size_t n = 0; n < whole; n++) {
		int r = gguf_parse(&g, b.p, n, n, &e);

		assert_true(r == -ENODATA || r == -EINVAL);
		b.n = n;
		assert_int_equal(gguf_open(&g, build_file(&b), &e), -EINVAL);
		build_close(&b);
	}
}

static void test_magic_and_version(void **state)
{
	(void)state;
	build_two(0, 32, "two");
	b.p[4] = 1;
	expect_refusal("version 1");
	b.p[4] = 0, b.p[7] = 3;
	expect_refusal("big endian");
	b.p[0] = 'g';
	expect_refusal("not a GGUF file");
}

static void test_places(void **state)
{
	(void)state;
	build_two(0, 0, "two");
	expect_refusal("overlap");
	build_two(0, 64, "two");
	expect_refusal("'two' ends past the end");
	build_two(0, UINT64_MAX - 31, "two");
	expect_refusal("'two' ends past the end");
	build_two(0, 33, "two");
	expect_refusal("'two' is not aligned");
	build_two(0, 32, "one");
	expect_refusal("'one' appears twice");
}

static void test_shapes(void **state)
{
	(void)state;
	put_head(&b, 1, 0);
	put_tensor(&b, "t", 0, UINT64_MAX / 2, 4, 0);
	expect_refusal("'t' has an impossible shape");
	put_head(&b, 1, 0);
	put_tensor(&b, "t", 0, 1ull << 62, 0, 0);
	expect_refusal("'t' has an impossible shape");
	put_head(&b, 1, 0);
	put_tensor(&b, "t", 0, 0, 0, 0);
	put_u64(&b, 0);
	expect_refusal("'t' has an impossible shape");
	put_head(&b, 1, 0);
	put_tensor(&b, "t", 8, 33, 0, 0);
	expect_refusal("'t': rows of 33");
	put_head(&b, 1, 0);
	put_str(&b, "t");
	put_u32(&b, 5);
	put_align(&b, 256);
	expect_refusal("'t' has 5 dimensions");
}

static void test_counts(void **state)
{
	(void)state;
	put_head(&b, 0, UINT64_MAX);
	expect_refusal("claims");
	put_head(&b, 1ull << 61, 0);
	expect_refusal("claims");
	put_head(&b, 65536, 65536);
	assert_int_equal(parse(), -ENODATA);
}

static void test_keys(void **state)
{
	(void)state;
	put_head(&b, 0, 2);
	put_kv_u32(&b, "k", 1);
	put_kv_u32(&b, "k", 2);
	expect_refusal("'k' appears twice");
	put_head(&b, 0, 1);
	put_kv_u32(&b, "general.alignment", 24);
	expect_refusal("general.alignment is 24");
	put_head(&b, 0, 1);
	put_kv_u32(&b, "general.alignment", 0);
	expect_refusal("general.alignment is 0");
	put_head(&b, 0, 1);
	put_str(&b, "k");
	put_u32(&b, GGUF_TYPE_MAX);
	put_u64(&b, 0);
	expect_refusal("'k' has unknown type");
}

static void put_array(uint32_t type, uint64_t n)
{
	put_head(&b, 0, 1);
	put_str(&b, "a");
	put_u32(&b, GGUF_ARR);
	put_u32(&b, type);
	put_u64(&b, n);
}

static void test_lying_arrays(void **state)
{
	(void)state;
	put_array(GGUF_ARR, 1);
	expect_refusal("array of type 9");
	put_array(GGUF_U64, UINT64_MAX);
	assert_int_equal(parse(), -ENODATA);
	put_array(GGUF_U64, 1ull << 61);
	assert_int_equal(parse(), -ENODATA);
	put_array(GGUF_STR, UINT64_MAX);
	assert_int_equal(parse(), -ENODATA);
	put_array(GGUF_STR, 1);
	put_u64(&b, UINT64_MAX - 7);
	assert_int_equal(parse(), -ENODATA);
}

static void test_arrays(void **state)
{
	struct gguf *g = NULL;
	struct gguf_arr a;

	(void)state;
	put_array(GGUF_STR, 3);
	put_str(&b, "x");
	put_str(&b, "");
	put_str(&b, "three");
	assert_int_equal(gguf_parse(&g, b.p, b.n, b.n, &e), 0);
	assert_int_equal(gguf_get_arr(g, "a", &a), 0);
	assert_int_equal(a.n, 3);
	assert_true(gguf_str_eq(gguf_arr_str(&a, 0), "x"));
	assert_true(gguf_str_eq(gguf_arr_str(&a, 1), ""));
	assert_true(gguf_str_eq(gguf_arr_str(&a, 2), "three"));
	g = gguf_close(g);
	put_array(GGUF_I32, 2);
	put_u32(&b, 5);
	put_u32(&b, (uint32_t)-6);
	assert_int_equal(gguf_parse(&g, b.p, b.n, b.n, &e), 0);
	assert_int_equal(gguf_get_arr(g, "a", &a), 0);
	assert_int_equal(gguf_arr_int(&a, 1), -6);
	gguf_close(g);
}

static void test_integers_must_fit(void **state)
{
	struct gguf *g = NULL;
	uint32_t v;

	(void)state;
	put_head(&b, 0, 3);
	put_str(&b, "negative"), put_u32(&b, GGUF_I32), put_u32(&b, (uint32_t)-1);
	put_str(&b, "large"), put_u32(&b, GGUF_U64), put_u64(&b, 1ull << 32);
	put_str(&b, "fits"), put_u32(&b, GGUF_U64), put_u64(&b, UINT32_MAX);
	assert_int_equal(gguf_parse(&g, b.p, b.n, b.n, &e), 0);
	assert_int_equal(gguf_get_u32(g, "negative", &v), -EINVAL);
	assert_int_equal(gguf_get_u32(g, "large", &v), -EINVAL);
	assert_int_equal(gguf_get_u32(g, "fits", &v), 0);
	assert_int_equal(v, UINT32_MAX);
	gguf_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_truncated_anywhere),
		cmocka_unit_test(test_magic_and_version),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_lying_arrays),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_integers_must_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
