/*
 * The forward pass reads whatever the loader left in the pool, so each row must come back bit for bit: through jobs that
 * end in mid-tensor, matrices whose last panel is padded, direct and buffered reads, and any number of threads.
 */
#include "daemon/weights/weights.h"
#include "daemon/weights/loader.h"
#include "tests/daemon/gguf/gguf_build.h"
#include "kernels/quant.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <cmocka.h>

#define N_COL 1000u
#define N_ROW 613u /* several jobs of 512 KiB, the last panel short */

static struct gguf_build b;
static struct error e;

static float value(size_t i)
{
	return (float)(i % 8191) - 4000.5f;
}

/* A file on disk (O_DIRECT needs one, hence not /tmp): a vector of 3 and a matrix [N_ROW][N_COL]; data cut short by cut bytes. */
static void write_model(char *path, size_t cut)
{
	size_t n = N_ROW * N_COL;
	float *w = malloc(n * sizeof(*w));
	int fd = mkstemp(path);

	put_head(&b, 2, 0);
	put_tensor(&b, "v", QUANT_F32, 3, 0, 0);
	put_tensor(&b, "m", QUANT_F32, N_COL, N_ROW, 32);
	put_align(&b, 32);
	for (size_t i = 0; i < 3; i++)
		put(&b, &(float){ value(i) }, sizeof(float));
	put_align(&b, 32);
	for (size_t i = 0; i < n; i++)
		w[i] = value(i);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), b.n);
	assert_int_equal(write(fd, w, n * sizeof(*w) - cut), n * sizeof(*w) - cut);
	close(fd);
	free(w);
}

static void check_model(const struct weights *w)
{
	const struct tensor *v = weights_find(w, "v"), *m = weights_find(w, "m");
	float y[N_COL];

	assert_null(weights_find(w, "nothing"));
	assert_int_equal(v->n_row, 1);
	assert_int_equal(v->n_col, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(((const float *)v->part[0].data)[i] == value(i));
	assert_int_equal(m->n_row, N_ROW);
	assert_int_equal((uintptr_t)m->part[0].data % 64, 0);
	for (size_t row = 0; row < N_ROW; row++) {
		quant_dequantize_row(m->type, y, m->part[0].data, row, N_COL);
		for (size_t i = 0; i < N_COL; i++)
			assert_true(y[i] == value(row * N_COL + i));
	}
}

static void test_every_row_arrives(void **state)
{
	char path[] = "/var/tmp/gyre-weights-XXXXXX";

	(void)state;
	write_model(path, 0);
	for (int n_thread = 1; n_thread <= 3; n_thread++) {
		for (enum weights_direct d = WEIGHTS_DIRECT_AUTO; d <= WEIGHTS_DIRECT_ALWAYS; d++) {
			struct weights_options o = { .n_thread = n_thread, .direct = d };
			struct weights *w = NULL;

			if (weights_load(&w, path, &o, &e))
				fail_msg("%s", e.text);
			check_model(w);
			weights_free(w);
		}
	}
	unlink(path);
}

/* Random bits are a block of any type; [17][one block], so that the second panel is mostly padding. */
static void every_type_arrives(uint32_t type, const struct quant_info *q)
{
	uint8_t src[17 * 256], block[256];
	uint32_t x = type;
	struct weights *w = NULL;
	const struct tensor *t;

	for (size_t i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24) & 0xfb; /* finite */
	put_head(&b, 1, 0);
	put_tensor(&b, "m", type, q->block_len, 17, 0);
	put_align(&b, 32);
	put(&b, src, 17u * q->block_bytes);
	if (weights_load(&w, build_file(&b), NULL, &e))
		fail_msg("%s: %s", q->name, e.text);
	t = weights_find(w, "m");
	assert_int_equal(t->type, type);
	for (size_t r = 0; r < 17; r++) {
		q->unpack(block, (const uint8_t *)t->part[0].data + r / PANEL_ROWS * PANEL_ROWS * q->block_bytes,
			  (int)(r % PANEL_ROWS));
		assert_memory_equal(block, src + r * q->block_bytes, q->block_bytes);
	}
	weights_free(w);
	build_close(&b);
}

static void test_every_type_arrives(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++)
		if (quant_info(type))
			every_type_arrives(type, quant_info(type));
}

/* A vector is f32 in memory, of whatever name and type it is in the file. One that a model asks for twice is there once. */
static void test_vectors_of_any_name_and_type(void **state)
{
	const struct {
		const char *name;
		uint32_t type;
	} v[] = { { "blk.0.attn_q.bias", QUANT_F32 },
		  { "a", QUANT_F16 },
		  { "rope_freqs.weight", QUANT_BF16 },
		  { "exp_probs_b", QUANT_Q8_0 } };
	const size_t n = sizeof(v) / sizeof(v[0]);
	struct weights *w = NULL;
	uint8_t src[4][128];
	float want[32];

	(void)state;
	put_head(&b, n, 0);
	for (size_t i = 0; i < n; i++)
		put_tensor(&b, v[i].name, v[i].type, 32, 0, 128 * i);
	put_align(&b, 32);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(src[i]); k++)
			src[i][k] = (uint8_t)(k * 7 + i) & 0x3f; /* finite */
		put(&b, src[i], sizeof(src[i]));
	}
	assert_int_equal(weights_load(&w, build_file(&b), NULL, &e), 0);
	for (size_t i = 0; i < n; i++) {
		const struct quant_info *q = quant_info(v[i].type);
		const struct tensor *t = weights_find(w, v[i].name);

		assert_true(t->is_vector && t->type == QUANT_F32 && t->n_col == 32);
		assert_ptr_equal(weights_find(w, v[i].name), t);
		for (uint32_t k = 0; k < 32; k += q->block_len)
			q->dequantize(want + k, src[i] + k / q->block_len * q->block_bytes);
		assert_memory_equal(t->part[0].data, want, sizeof(want));
	}
	assert_int_equal(w->n_bytes, n * 128);
	weights_free(w);
	build_close(&b);
}

static void count_tensors(void *arg, const struct gguf *g)
{
	*(size_t *)arg += gguf_n_tensor(g);
}

/* An infinity, a NaN, and the largest number that is none, wherever a type has its scale; one row of 33, which is not the first. */
static void a_number_that_is_none_is_refused(uint32_t type, const struct quant_info *q, uint32_t at, uint32_t width)
{
	const uint32_t exponent = type == QUANT_F32 ? 0x7f800000 : type == QUANT_BF16 ? 0x7f80 : 0x7c00;
	const uint32_t bad[] = { exponent, exponent + 1, exponent - 1 };
	struct weights *w = NULL;
	uint8_t block[256];

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		put_head(&b, 1, 0);
		put_tensor(&b, "m", type, q->block_len, 33, 0);
		put_align(&b, 32);
		for (uint32_t row = 0; row < 33; row++) {
			memset(block, 0x3b, sizeof(block));
			if (row == 32)
				memcpy(block + at, &bad[k], width);
			put(&b, block, q->block_bytes);
		}
		memset(&e, 0, sizeof(e));
		if (weights_load(&w, build_file(&b), NULL, &e) != (k < 2 ? -EINVAL : 0))
			fail_msg("%s, %#x at %u: '%s'", q->name, bad[k], at, e.text);
		if (k < 2)
			assert_non_null(strstr(e.text, "tensor 'm' has numbers that are no finite ones"));
		w = weights_free(w);
		build_close(&b);
	}
}

static void test_numbers_that_are_none(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++) {
		const struct quant_info *q = quant_info(type);

		if (q && q->block_len == 1)
			a_number_that_is_none_is_refused(type, q, 0, q->block_bytes);
		for (uint32_t i = 0; q && i < q->n_scale; i++)
			a_number_that_is_none_is_refused(type, q, q->scale[i], 2);
	}
}

static int refuse_all(const struct weights *w, struct error *why)
{
	assert_true(((const float *)weights_find(w, "v")->part[0].data)[2] == value(2));
	assert_true(weights_find(w, "m")->n_row == N_ROW);
	return error_set(why, -ENOTSUP, "not this one");
}

/* Whoever looks at an outline has the vectors, and nothing has been taken or begun when he refuses. */
static void test_checked_before_memory(void **state)
{
	char path[] = "/var/tmp/gyre-weights-XXXXXX";
	size_t n = 0;
	struct weights_options o = { .check = refuse_all, .beside = count_tensors, .arg = &n };
	struct weights *w = NULL;

	(void)state;
	write_model(path, 0);
	pool_set_budget(1); /* any pool would be more */
	assert_int_equal(weights_load(&w, path, &o, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "not this one"));
	assert_int_equal(n, 0);
	pool_set_budget(0);
	unlink(path);
}

/* What goes on beside the reading has been called once, with the header, and is over when the load is. */
static void test_beside(void **state)
{
	char path[] = "/var/tmp/gyre-weights-XXXXXX";
	size_t n = 0;
	struct weights_options o = { .n_thread = 2, .beside = count_tensors, .arg = &n };
	struct weights *w = NULL;

	(void)state;
	write_model(path, 0);
	assert_int_equal(weights_load(&w, path, &o, &e), 0);
	assert_int_equal(n, 2);
	weights_free(w);
	unlink(path);
	assert_int_equal(weights_load(&w, path, &o, &e), -ENOENT);
	assert_int_equal(n, 2);
}

/* A read that a load is compared with must have read all of the files, or a benchmark flatters itself. Here one file is two. */
static void read_into_new_memory(const char *path, bool is_direct)
{
	enum { JOB = 8192 };
	static struct loader_job job[4096];
	int fd = open(path, O_RDONLY);
	size_t bytes = (size_t)lseek(fd, 0, SEEK_END);
	size_t whole = (bytes + LOADER_ALIGN - 1) / LOADER_ALIGN * LOADER_ALIGN;
	struct loader_file file[2] = { { .fd = fd, .fd_direct = is_direct ? loader_open_direct(fd) : -1 },
				       { .fd = fd, .fd_direct = -1, .is_cached = !is_direct, .copy0 = whole } };
	struct pool pool = { .fd = -1 };
	struct loader l = { .file = file, .n_file = 2, .job = job, .job_bytes_max = JOB, .copy = &pool, .n_thread = 3 };
	uint8_t *want = malloc(bytes);

	for (uint32_t f = 0; f < 2; f++)
		for (size_t at = 0; at < bytes; at += JOB)
			job[l.n_job++] =
				(struct loader_job){ .name = "",
						     .file = f,
						     .offset = at,
						     .bytes = (uint32_t)(bytes - at < JOB ? bytes - at : JOB) };
	assert_int_equal(pool_reserve(&pool, 2 * whole, -1, "test", &e), 0);
	assert_int_equal(loader_run(&l, &e), 0);
	assert_int_equal(pread(fd, want, bytes, 0), bytes);
	assert_memory_equal(pool.base, want, bytes);
	assert_memory_equal(pool.base + whole, want, bytes);
	free(want);
	pool_unmap(&pool);
	if (file[0].fd_direct >= 0)
		close(file[0].fd_direct);
	close(fd);
}

static void test_read_into_new_memory(void **state)
{
	char path[] = "/var/tmp/gyre-weights-XXXXXX";

	(void)state;
	write_model(path, 0);
	read_into_new_memory(path, false);
	read_into_new_memory(path, true);
	unlink(path);
}

static void test_truncated_data(void **state)
{
	char path[] = "/var/tmp/gyre-weights-XXXXXX";
	struct weights *w = NULL;

	(void)state;
	write_model(path, 1);
	assert_int_equal(weights_load(&w, path, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'m' ends past the end"));
	unlink(path);
}

static void expect_refusal(const char *text)
{
	struct weights *w = NULL;

	put_align(&b, 4096);
	assert_int_equal(weights_load(&w, build_file(&b), NULL, &e), -EINVAL);
	if (!strstr(e.text, text))
		fail_msg("'%s' lacks '%s'", e.text, text);
	build_close(&b);
}

static void test_refusals_name_the_tensor(void **state)
{
	(void)state;
	put_head(&b, 1, 0);
	put_tensor(&b, "strange", 16, 256, 2, 0); /* IQ2_XXS */
	expect_refusal("'strange' has ggml type 16");
	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++)
		if (quant_info(type))
			assert_non_null(strstr(e.text, quant_info(type)->name));
	put_head(&b, 1, 0);
	put_tensor(&b, "future", QUANT_TYPE_MAX + 7, 256, 2, 0);
	expect_refusal("'future' has ggml type 47");
	put_head(&b, 1, 0);
	put_tensor(&b, "odd", QUANT_IQ4_XS, 288, 2, 0);
	expect_refusal("'odd': rows of 288 are not whole IQ4_XS blocks of 256");
	put_head(&b, 0, 0);
	expect_refusal("no tensors");
}

static void test_missing_file(void **state)
{
	struct weights *w = NULL;

	(void)state;
	assert_int_equal(weights_load(&w, "/nonexistent/model.gguf", NULL, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/model.gguf"));
	assert_int_equal(weights_load(&w, "/", NULL, &e), -EINVAL);
}

static void test_read_only_afterwards(void **state)
{
	char path[] = "/var/tmp/gyre-weights-XXXXXX";
	struct weights *w = NULL;
	int status;
	pid_t pid;

	(void)state;
	write_model(path, 0);
	assert_int_equal(weights_load(&w, path, NULL, &e), 0);
	unlink(path);
	pid = fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile uint8_t *)w->pool[0].base = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	weights_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_arrives),        cmocka_unit_test(test_beside),
		cmocka_unit_test(test_numbers_that_are_none),    cmocka_unit_test(test_checked_before_memory),
		cmocka_unit_test(test_read_into_new_memory),     cmocka_unit_test(test_truncated_data),
		cmocka_unit_test(test_refusals_name_the_tensor), cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_read_only_afterwards),     cmocka_unit_test(test_vectors_of_any_name_and_type),
		cmocka_unit_test(test_every_type_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
