/*
 * Why: the largest models come in parts, and a part that is missing, cut off or another model's gives answers that look right. So the
 * parts together must be the whole file to the last bit, and every lie that a header can tell is refused by the name of the file.
 */
#include "daemon/gguf/gguf.h"
#include "tests/util/tiny.h"
#include "tests/util/split.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define N 3

static char dir[] = "/tmp/gyre-split-XXXXXX", whole[64], stem[64];
static struct error e;

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(whole, sizeof(whole), "%s/whole.gguf", dir);
	snprintf(stem, sizeof(stem), "%s/m", dir);
	return tiny_write(whole, &tiny_served);
}

static int teardown(void **state)
{
	(void)state;
	unlink(whole);
	return rmdir(dir);
}

static const char *part(uint32_t i)
{
	static char path[N][SPLIT_PATH_BYTES];

	split_path(path[i], stem, i, N);
	return path[i];
}

static void same_bytes(const struct gguf *a, const struct gguf_tensor *t, const struct gguf *b,
		       const struct gguf_tensor *u)
{
	uint8_t *x = malloc(t->bytes), *y = malloc(t->bytes);

	assert_int_equal(pread(gguf_file_at(a, t->file)->fd, x, t->bytes, (off_t)t->offset), t->bytes);
	assert_int_equal(pread(gguf_file_at(b, u->file)->fd, y, t->bytes, (off_t)u->offset), t->bytes);
	assert_memory_equal(x, y, t->bytes);
	free(x);
	free(y);
}

static void expect_whole(const struct gguf *g, uint32_t n_file)
{
	struct gguf *w = NULL;
	uint64_t bytes = 0;
	size_t n_seen = 0;

	assert_int_equal(gguf_open(&w, whole, &e), 0);
	assert_int_equal(gguf_n_file(g), n_file);
	assert_int_equal(gguf_n_tensor(g), gguf_n_tensor(w));
	for (size_t i = 0; i < gguf_n_tensor(w); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(w, i), *u = gguf_tensor_at(g, i);
		char name[GGUF_NAME_MAX + 1];

		snprintf(name, sizeof(name), "%.*s", (int)t->name.n, t->name.p);
		assert_ptr_equal(gguf_tensor_find(g, name), u);
		assert_int_equal(u->type, t->type);
		assert_memory_equal(u->ne, t->ne, sizeof(t->ne));
		assert_int_equal(u->bytes, t->bytes);
		assert_true(u->file < n_file);
		n_seen |= (size_t)1 << u->file;
		same_bytes(w, t, g, u);
	}
	for (uint32_t i = 0; i < n_file; i++)
		bytes += gguf_file_at(g, i)->bytes;
	assert_int_equal(gguf_bytes(g), bytes);
	assert_true(n_seen > 1);
	assert_int_equal(gguf_n_kv(g), gguf_n_kv(w) + 3);
	gguf_close(w);
}

static void any_part_opens_the_model(void **state)
{
	struct gguf *g = NULL;

	(void)state;
	for (int is_bare = 0; is_bare < 2; is_bare++) {
		split_write(whole, stem, N, is_bare, NULL);
		for (uint32_t i = 0; i < N; i++) {
			if (gguf_open(&g, part(i), &e))
				fail_msg("%s", e.text);
			assert_string_equal(gguf_file_at(g, 0)->path, part(0));
			expect_whole(g, N);
			gguf_close(g);
		}
		split_unlink(stem, N);
	}
}

/* Names without a folder, and a stem that looks like a number of parts. */
static void names_are_taken_as_they_are(void **state)
{
	const char *odd = "x-00001-of-00003.gguf";
	char cwd[4096], path[SPLIT_PATH_BYTES];
	struct gguf *g = NULL;

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(dir), 0);
	split_write(whole, odd, N, 0, NULL);
	split_path(path, odd, 2, N);
	if (gguf_open(&g, path, &e))
		fail_msg("%s", e.text);
	expect_whole(g, N);
	gguf_close(g);
	split_unlink(odd, N);
	assert_int_equal(chdir(cwd), 0);
}

static void metadata_want_the_first_part_alone(void **state)
{
	struct gguf_str s;
	struct gguf *g = NULL;

	(void)state;
	split_write(whole, stem, N, 0, NULL);
	unlink(part(2));
	assert_int_equal(gguf_open_metadata(&g, part(1), &e), 0);
	assert_int_equal(gguf_get_str(g, "general.architecture", &s), 0);
	assert_true(gguf_n_tensor(g) > 0);
	g = gguf_close(g);
	unlink(part(0));
	assert_int_equal(gguf_open_metadata(&g, part(1), &e), -ENOENT);
	assert_non_null(strstr(e.text, part(0)));
	split_unlink(stem, N);
}

static void a_model_has_one_name(void **state)
{
	const struct tiny_kv name = { "general.name", GGUF_STR, "\0\0\0\0\0\0\0\0", 8 };
	struct tiny t = tiny_served;
	struct gguf *g = NULL;
	char text[32];

	(void)state;
	split_write(whole, stem, N, 0, NULL);
	assert_int_equal(gguf_open(&g, part(1), &e), 0);
	gguf_name(g, text, sizeof(text));
	assert_string_equal(text, "tiny");
	gguf_close(g);
	split_unlink(stem, N);

	t.kv = &name;
	t.n_kv = 1;
	tiny_write(whole, &t);
	assert_int_equal(gguf_open(&g, whole, &e), 0);
	gguf_name(g, text, sizeof(text));
	assert_string_equal(text, "whole.gguf");
	gguf_name(g, text, 4);
	assert_string_equal(text, "who");
	gguf_close(g);
	split_write(whole, stem, N, 0, NULL);
	assert_int_equal(gguf_open(&g, part(1), &e), 0);
	gguf_name(g, text, sizeof(text));
	assert_string_equal(text, "m.gguf");
	gguf_close(g);
	split_unlink(stem, N);
	tiny_write(whole, &tiny_served);
}

static void refused(const char *path, int code, const char *text)
{
	struct gguf *g = NULL;

	memset(&e, 0, sizeof(e));
	assert_int_equal(gguf_open(&g, path, &e), code);
	gguf_close(g);
	if (!strstr(e.text, text))
		fail_msg("'%s' lacks '%s'", e.text, text);
}

static void missing_and_renamed_parts(void **state)
{
	char other[160];

	(void)state;
	split_write(whole, stem, N, 0, NULL);
	snprintf(other, sizeof(other), "%s/other", dir);
	rename(part(1), other);
	refused(part(0), -ENOENT, "part 2 of the model is missing");
	refused(part(2), -ENOENT, part(1));
	refused(other, -EINVAL, "NAME-00002-of-00003.gguf");
	rename(other, part(1));
	rename(part(0), other);
	refused(part(2), -ENOENT, part(0));
	refused(other, -EINVAL, "NAME-00001-of-00003.gguf");
	rename(part(1), part(0));
	rename(other, part(1));
	refused(part(0), -EINVAL, "NAME-00002-of-00003.gguf");
	refused(part(2), -EINVAL, "part 1 ('m-00001-of-00003.gguf'): it says that it is part 2 of 3, not part 1 of 3");
	split_unlink(stem, N);
}

static void lied(struct split_lie lie, int code, const char *text)
{
	split_write(whole, stem, N, 0, &lie);
	refused(part(0), code, text);
	split_unlink(stem, N);
}

static void every_lie_is_refused(void **state)
{
	const char *last = "blk.0.attn_norm.weight";

	(void)state;
	lied((struct split_lie){ .part = 1, .no = 2, .count = 3 }, -EINVAL,
	     "part 2 ('m-00002-of-00003.gguf'): it says that it is part 3 of 3, not part 2 of 3");
	lied((struct split_lie){ .part = 2, .no = 2, .count = 4 }, -EINVAL, "part 3 of 4, not part 3 of 3");
	lied((struct split_lie){ .part = 2, .count = 1 }, -EINVAL, "part 1 of 1, not part 3 of 3");
	lied((struct split_lie){ .part = 1, .n_tensor = 19 }, -EINVAL, "their split.tensors.count differ");
	lied((struct split_lie){ .part = 2, .n_skip = 1 }, -EINVAL, "the 3 parts hold 19 tensors, not 20");
	lied((struct split_lie){ .part = 1, .extra = "more" }, -EINVAL, "the 3 parts hold 21 tensors, not 20");
	lied((struct split_lie){ .part = 2, .n_skip = 1, .extra = last }, -EINVAL,
	     "'blk.0.attn_norm.weight' is in part 1 and in part 3");
	lied((struct split_lie){ .part = 1, .arch = "llama" }, 0, "");
	lied((struct split_lie){ .part = 1, .arch = "gemma" }, -EINVAL, "their general.architecture differ");
	lied((struct split_lie){ .part = 1, .n_cut = 1 }, -EINVAL, "m-00002-of-00003.gguf': tensor ");
	lied((struct split_lie){ .part = 1, .n_cut = 1 }, -EINVAL, "the file is truncated");
	lied((struct split_lie){ .part = 1, .omit = "split.no" }, -EINVAL, "'split.no' is missing");
	lied((struct split_lie){ .part = 1, .omit = "split.count" }, -EINVAL, "part 1 of 1, not part 2 of 3");
	lied((struct split_lie){ .part = 0, .omit = "split.tensors.count" }, -EINVAL,
	     "'split.tensors.count' is missing");
}

/* A number of parts is believed as far as files are there, and refused before any is opened where there can be none. */
static void hostile_counts_are_bounded(void **state)
{
	(void)state;
	lied((struct split_lie){ .part = 0, .count = 65535 }, -EINVAL, "one of 65535 parts");
	lied((struct split_lie){ .part = 0, .count = 257 }, -EINVAL, "at most 256");
	lied((struct split_lie){ .part = 0, .no = 3, .count = 3 }, -EINVAL, "it is part 4 of 3");
	lied((struct split_lie){ .part = 0, .no = 65535, .count = 3 }, -EINVAL, "it is part 65536 of 3");
	lied((struct split_lie){ .part = 0, .n_tensor = 0x7fffffff }, -EINVAL, "split.tensors.count");
	lied((struct split_lie){ .part = 0, .n_tensor = 0xffffffff }, -EINVAL, "no number, or out of range");
	lied((struct split_lie){ .part = 0, .key_type = GGUF_STR }, -EINVAL, "'split.count' is no number");
	lied((struct split_lie){ .part = 0, .no = UINT32_MAX, .count = UINT32_MAX, .key_type = GGUF_U32 }, -EINVAL,
	     "one of 4294967295 parts");
	lied((struct split_lie){ .part = 0, .no = UINT32_MAX, .count = 2, .key_type = GGUF_U32 }, -EINVAL,
	     "it is part 4294967296 of 2");
}

/* One that gguf-split has joined again keeps the keys. */
static void a_count_of_none_or_one_is_a_whole_model(void **state)
{
	struct gguf *g = NULL;

	(void)state;
	for (uint16_t n = 0; n < 2; n++) {
		struct tiny t = tiny_served;
		const struct tiny_kv kv = { "split.count", GGUF_U16, &n, 2 };
		char path[96];

		t.kv = &kv;
		t.n_kv = 1;
		snprintf(path, sizeof(path), "%s/joined.gguf", dir);
		tiny_write(path, &t);
		assert_int_equal(gguf_open(&g, path, &e), 0);
		assert_int_equal(gguf_n_file(g), 1);
		gguf_close(g);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_part_opens_the_model),
		cmocka_unit_test(names_are_taken_as_they_are),
		cmocka_unit_test(metadata_want_the_first_part_alone),
		cmocka_unit_test(a_model_has_one_name),
		cmocka_unit_test(missing_and_renamed_parts),
		cmocka_unit_test(every_lie_is_refused),
		cmocka_unit_test(hostile_counts_are_bounded),
		cmocka_unit_test(a_count_of_none_or_one_is_a_whole_model),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
