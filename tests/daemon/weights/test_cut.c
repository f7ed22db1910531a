/*
 * Why: what a file has as one tensor the model multiplies as several, and a row that comes from the tensor beside it is a query with a key's
 * numbers: an answer, and wrong. So each row of each piece must come back bit for bit from whichever node has it: of runs that are longer
 * than a read and of runs of one row, of experts of any size, of vectors, and read in every way.
 */
#include "daemon/weights/weights.h"
#include "kernels/quant.h"
#include "tests/util/teams.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PIECES 3

/* A tensor [n_expert][n_row][n_col], n_row 0: a vector, of whose rows each period is cut into parts of so many. */
struct whole {
	uint32_t type, n_col, n_row, n_expert, part[PIECES];
	enum plan_axis axis;
};

static const struct whole wholes[] = {
	{ QUANT_F32, 1000, 777, 1, { 512, 128, 137 }, PLAN_ROW }, /* q, k, v: pieces of one run, of several reads */
	{ QUANT_Q4_0, 64, 96, 1, { 64, 16, 16 }, PLAN_ROW },
	{ QUANT_Q4_K, 2048, 512, 1, { 64, 64 }, PLAN_ROW },  /* a gate beside each head: runs of a read */
	{ QUANT_Q8_0, 4096, 256, 1, { 32, 32 }, PLAN_ROW },  /* reads that keep to their run */
	{ QUANT_F32, 40, 130, 1, { 3, 1, 9 }, PLAN_ROW },    /* runs that are no panels */
	{ QUANT_F16, 36, 60, 1, { 1, 1 }, PLAN_COPY },       /* row by row */
	{ QUANT_F32, 8192, 66, 1, { 5, 6 }, PLAN_ROW },      /* long rows, of which panels take from several runs */
	{ QUANT_Q8_0, 64, 48, 7, { 24, 24 }, PLAN_ROW },     /* small experts */
	{ QUANT_MXFP4, 256, 160, 40, { 80, 80 }, PLAN_ROW }, /* several reads of small experts */
	{ QUANT_F32, 1000, 450, 3, { 200, 250 }, PLAN_ROW }, /* each of several reads, and no whole panels */
	{ QUANT_Q6_K, 256, 1024, 4, { 16, 48 }, PLAN_ROW },  /* head by head within each expert */
	{ QUANT_BF16, 24, 34, 9, { 17, 17 }, PLAN_COPY },
	{ QUANT_F32, 96, 0, 1, { 64, 16, 16 }, PLAN_COPY }, /* biases */
	{ QUANT_F16, 96, 0, 1, { 8, 4 }, PLAN_COPY },
	{ QUANT_BF16, 5, 0, 1, { 2, 3 }, PLAN_COPY },
};

#define N_WHOLE (sizeof(wholes) / sizeof(wholes[0]))

static const struct whole *whole;
static uint8_t *data; /* of it */
static size_t bytes;
static struct error e;

static uint32_t period(void)
{
	return whole->part[0] + whole->part[1] + whole->part[2];
}

static enum plan_axis axis_of(const struct plan *of, const char *name, size_t n)
{
	(void)of;
	(void)name;
	(void)n;
	return whole->axis;
}

static int cut_and_plan(struct plan *p, struct gguf *g, uint32_t n_node, struct error *why)
{
	const struct plan_shape s = { .n_embd = 16,
				      .n_head = 4,
				      .n_head_kv = 4,
				      .head_dim = 16,
				      .n_vocab = 256,
				      .head_block = 1,
				      .ff_block = 1 };
	const struct gguf_tensor *t = gguf_tensor_at(g, 0);
	const struct gguf_piece piece[PIECES] = {
		{ t, "a", 0, whole->part[0], period() },
		{ t, "b", whole->part[0], whole->part[1], period() },
		{ t, "c", whole->part[0] + whole->part[1], whole->part[2], period() },
	};
	int r = gguf_cut(g, piece, whole->part[2] ? 3 : 2, why);

	if (r == 0)
		r = plan_make(p, &s, n_node, why);
	p->axis = axis_of;
	return r;
}

static void put(FILE *f, const void *p, size_t n)
{
	assert_int_equal(fwrite(p, 1, n, f), n);
}

static void write_file(const char *path)
{
	uint64_t ne[] = { whole->n_col, whole->n_row, whole->n_expert };
	uint32_t n_dim = whole->n_row == 0 ? 1 : whole->n_expert > 1 ? 3 : 2, seed = 1;
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	bytes = quant_row_bytes(whole->type, whole->n_col) * (whole->n_row ? whole->n_row : 1) * whole->n_expert;
	data = malloc(bytes);
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24) & 0xfb; /* finite */
	put(f, "GGUF", 4);
	put(f, &(uint32_t){ 3 }, 4);
	put(f, (uint64_t[]){ 1, 0, 5 }, 24);
	put(f, "whole", 5);
	put(f, &n_dim, 4);
	put(f, ne, 8 * n_dim);
	put(f, &whole->type, 4);
	put(f, &(uint64_t){ 0 }, 8);
	while (ftell(f) % 32)
		fputc(0, f);
	put(f, data, bytes);
	fclose(f);
}

/* Row `row` of a part's expert, as GGUF has it. */
static void row_of(const struct tensor *t, const struct tensor_part *p, uint32_t expert, uint32_t row, uint8_t *out)
{
	const struct quant_info *q = quant_info(t->type);
	const uint8_t *panel = (const uint8_t *)weights_expert(p, expert) +
			       row / PANEL_ROWS * PANEL_ROWS * quant_row_bytes(t->type, p->n_col);

	for (uint32_t i = 0; i < p->n_col / q->block_len; i++)
		q->unpack(out + i * q->block_bytes, panel + (size_t)i * PANEL_ROWS * q->block_bytes,
			  (int)(row % PANEL_ROWS));
}

/* Every row of piece i, from wherever it is; how many there are. */
static size_t check_matrix(const struct tensor *t, uint32_t i)
{
	size_t row_bytes = quant_row_bytes(whole->type, whole->n_col), n = 0;
	uint32_t first = i > 1 ? whole->part[0] + whole->part[1] : i ? whole->part[0] : 0;
	uint8_t *row = malloc(row_bytes);

	for (const struct tensor_part *p = t->part; p < t->part + t->n_part; p++)
		for (uint32_t x = 0; x < t->n_expert; x++)
			for (uint32_t r = p->row0; r < p->row0 + p->n_row; r++, n++) {
				size_t of = r / whole->part[i] * period() + first + r % whole->part[i];

				row_of(t, p, x, r - p->row0, row);
				assert_memory_equal(row, data + (x * (size_t)whole->n_row + of) * row_bytes, row_bytes);
			}
	free(row);
	return n;
}

static void check_vector(const struct tensor *t, uint32_t i)
{
	const struct quant_info *q = quant_info(whole->type);
	uint32_t first = i > 1 ? whole->part[0] + whole->part[1] : i ? whole->part[0] : 0;

	assert_true(t->is_vector);
	for (uint32_t p = 0; p < t->n_part; p++)
		for (uint32_t k = 0; k < t->n_col; k++) {
			size_t of = k / whole->part[i] * period() + first + k % whole->part[i];
			float want;

			q->dequantize(&want, data + of * q->block_bytes);
			assert_memory_equal((float *)t->part[p].data + k, &want, 4);
		}
}

static void check(const struct weights *w)
{
	uint32_t n_row = whole->n_row ? whole->n_row : whole->n_col;

	assert_null(weights_find(w, "whole"));
	assert_int_equal(w->read_bytes, bytes);
	for (uint32_t i = 0; i < PIECES && whole->part[i]; i++) {
		const struct tensor *t = weights_find(w, (const char *[]){ "a", "b", "c" }[i]);
		size_t n = n_row / period() * whole->part[i];

		assert_non_null(t);
		if (whole->n_row) {
			assert_int_equal(t->n_row, n);
			assert_int_equal(check_matrix(t, i),
					 n * whole->n_expert * (whole->axis == PLAN_COPY ? w->plan.n_node : 1));
		} else {
			assert_int_equal(t->n_col, n);
			check_vector(t, i);
		}
	}
}

static void every_row_of_every_piece_arrives(void **state)
{
	(void)state;
	for (whole = wholes; whole < wholes + N_WHOLE; whole++) {
		char path[] = "/var/tmp/gyre-cut-XXXXXX";

		close(mkstemp(path));
		write_file(path);
		for (int n_node = 1; n_node <= 3; n_node++)
			for (enum weights_direct d = WEIGHTS_DIRECT_NEVER; d <= WEIGHTS_DIRECT_ALWAYS; d++) {
				struct layout layout = layout_even(n_node, n_node);
				struct weights *w = NULL;
				struct weights_options o = {
					.plan = cut_and_plan, .layout = &layout, .n_thread = n_node, .direct = d
				};

				if (weights_load(&w, path, &o, &e))
					fail_msg("%d, %d nodes, %d: %s", (int)(whole - wholes), n_node, (int)d, e.text);
				check(w);
				weights_free(w);
			}
		unlink(path);
		free(data);
	}
}

/* One row of each million: no read holds a panel of them. A header asks for it, of a file that has holes in place of its bytes. */
static void rows_that_lie_too_far_apart_are_refused(void **state)
{
	static const struct whole far[] = { { QUANT_F32, 4, 32 << 20, 1, { 1, (1 << 20) - 1 }, PLAN_COPY },
					    { QUANT_F32, 64 << 20, 0, 1, { 1, (1 << 20) - 1 }, PLAN_COPY } };

	(void)state;
	for (whole = far; whole < far + 2; whole++) {
		char path[] = "/var/tmp/gyre-cut-XXXXXX";
		struct weights *w = NULL;
		FILE *f;

		close(mkstemp(path));
		f = fopen(path, "wb");
		put(f, "GGUF", 4);
		put(f, &(uint32_t){ 3 }, 4);
		put(f, (uint64_t[]){ 1, 0, 5 }, 24);
		put(f, "whole", 5);
		put(f, &(uint32_t){ whole->n_row ? 2 : 1 }, 4);
		put(f, (uint64_t[]){ whole->n_col, whole->n_row }, whole->n_row ? 16 : 8);
		put(f, &whole->type, 4);
		put(f, &(uint64_t){ 0 }, 8);
		fclose(f);
		assert_int_equal(truncate(path, 1l << 30), 0);
		assert_int_equal(weights_load(&w, path, &(struct weights_options){ .plan = cut_and_plan }, &e),
				 -EINVAL);
		if (!strstr(e.text, "too far apart") && !strstr(e.text, "too large"))
			fail_msg("%s", e.text);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_every_piece_arrives),
		cmocka_unit_test(rows_that_lie_too_far_apart_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
