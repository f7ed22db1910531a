/*
 * Why: a mixture of experts is a model of one tensor for all experts of a product, and an expert that lies a row or a block from where it
 * is looked for answers in the voice of another. So each row of each expert must come back bit for bit from whichever node has it,
 * and from one alone; and each has all columns of its rows, so that no sum is divided.
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

/* up [n_expert][n_ff][n_embd], down [n_expert][n_embd][n_ff], and a plain matrix that is divided likewise, [n_ff][n_embd]. */
struct mix {
	uint32_t n_expert, n_ff, n_embd, type_up, type_down;
};

static const struct mix mixes[] = {
	{ 5, 80, 37, QUANT_F32, QUANT_F32 },     /* panels that end early */
	{ 7, 96, 64, QUANT_Q8_0, QUANT_Q4_0 },   /* three blocks */
	{ 3, 256, 32, QUANT_Q5_1, QUANT_Q6_K },  /* one block of columns, which no node divides */
	{ 2, 256, 256, QUANT_Q4_K, QUANT_Q2_K }, /* fewer of them than nodes */
	{ 1, 64, 32, QUANT_Q8_0, QUANT_Q8_0 },   /* one expert is a matrix */
	{ 130, 48, 16, QUANT_F16, QUANT_BF16 },  /* many small ones a read */
	{ 3, 613, 1000, QUANT_F32, QUANT_F32 },  /* each of several reads; the last rows are no panel */
	{ 40, 288, 256, QUANT_MXFP4, QUANT_IQ4_NL },
	{ 4, 130, 20, QUANT_F32, QUANT_F32 }, /* a feed-forward that ends in mid-panel */
};

#define N_MIX (sizeof(mixes) / sizeof(mixes[0]))

static const struct mix *mix;
static struct error e;

static enum plan_axis axis_of(const struct plan *of, const char *name, size_t n)
{
	(void)of;
	return n == 5 && !memcmp(name, "other", 5) ? PLAN_COPY : PLAN_ROW;
}

static int make_plan(struct plan *p, struct gguf *g, uint32_t n_node, struct error *why)
{
	const struct plan_shape s = { .n_embd = mix->n_embd,
				      .n_head = 4,
				      .n_head_kv = 4,
				      .head_dim = 16,
				      .n_vocab = 256,
				      .head_block = 1,
				      .ff_block = 1,
				      .n_expert = mix->n_expert,
				      .n_ff_expert = mix->n_ff };
	int r = plan_make(p, &s, n_node, why);

	(void)g;
	p->axis = axis_of;
	return r;
}

/* ---- a file of random blocks ---- */

struct source {
	const char *name;
	uint32_t type;
	uint64_t ne[3]; /* n_col, n_row, n_expert */
	uint8_t *data;
	size_t bytes;
};

static void put(FILE *f, const void *p, size_t n)
{
	assert_int_equal(fwrite(p, 1, n, f), n);
}

static void put_str(FILE *f, const char *s)
{
	put(f, &(uint64_t){ strlen(s) }, 8);
	put(f, s, strlen(s));
}

static void fill(struct source *s, uint32_t seed)
{
	s->bytes = quant_row_bytes(s->type, s->ne[0]) * s->ne[1] * s->ne[2];
	s->data = malloc(s->bytes);
	for (size_t i = 0; i < s->bytes; i++)
		s->data[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24) & 0xfb; /* finite */
}

static void write_file(const char *path, struct source *s, uint32_t n)
{
	FILE *f = fopen(path, "wb");
	uint64_t offset = 0;

	assert_non_null(f);
	put(f, "GGUF", 4);
	put(f, &(uint32_t){ 3 }, 4);
	put(f, (uint64_t[]){ n, 0 }, 16);
	for (uint32_t i = 0; i < n; i++) {
		fill(&s[i], i + 1);
		put_str(f, s[i].name);
		put(f, &(uint32_t){ 3 }, 4);
		put(f, s[i].ne, 24);
		put(f, &s[i].type, 4);
		put(f, &offset, 8);
		offset += (s[i].bytes + 31) / 32 * 32;
	}
	for (uint32_t i = 0; i < n; i++) {
		while (ftell(f) % 32)
			fputc(0, f);
		put(f, s[i].data, s[i].bytes);
	}
	while (ftell(f) % 32)
		fputc(0, f);
	fclose(f);
}

/* ---- what lies in the parts ---- */

/* Row `row` of a part's expert, as GGUF has it. */
static void row_of(const struct tensor *t, const struct tensor_part *p, uint32_t expert, uint32_t row, uint8_t *out)
{
	const struct quant_info *q = quant_info(t->type);
	const uint8_t *panel = weights_expert(p, expert);

	assert_int_equal((uintptr_t)panel % 64, 0);
	panel += row / PANEL_ROWS * PANEL_ROWS * quant_row_bytes(t->type, p->n_col);
	for (uint32_t i = 0; i < p->n_col / q->block_len; i++)
		q->unpack(out + i * q->block_bytes, panel + (size_t)i * PANEL_ROWS * q->block_bytes,
			  (int)(row % PANEL_ROWS));
}

/* Compares a part with the file; counts the blocks that it has. */
static size_t check_part(const struct tensor *t, const struct tensor_part *p, const struct source *s)
{
	size_t row_bytes = quant_row_bytes(s->type, s->ne[0]), n = quant_row_bytes(s->type, p->n_col);
	uint8_t *row = malloc(n + 1);

	for (uint32_t x = 0; x < p->n_expert; x++)
		for (uint32_t r = 0; r < p->n_row; r++) {
			const uint8_t *want = s->data + (x * s->ne[1] + p->row0 + r) * row_bytes;

			row_of(t, p, x, r, row);
			assert_memory_equal(row, want + quant_row_bytes(s->type, p->col0), n);
		}
	free(row);
	return n * p->n_row * p->n_expert;
}

static bool overlap(const struct tensor_part *a, const struct tensor_part *b)
{
	return a->row0 < b->row0 + b->n_row && b->row0 < a->row0 + a->n_row;
}

/* Every block is in one part, or in each of n_node. */
static void check_tensor(const struct weights *w, const struct source *s, enum plan_axis axis)
{
	const struct tensor *t = weights_find(w, s->name);
	size_t n = 0;

	assert_int_equal(t->axis, axis);
	assert_int_equal(t->n_expert, s->ne[2]);
	assert_int_equal(t->n_row, s->ne[1]);
	assert_int_equal(t->n_col, s->ne[0]);
	for (uint32_t i = 0; i < t->n_part; i++) {
		n += check_part(t, &t->part[i], s);
		assert_int_equal(t->part[i].n_col, t->n_col);
		assert_int_equal(t->part[i].chunks.n, 1);
		for (uint32_t k = 0; k < i && axis != PLAN_COPY; k++)
			assert_false(overlap(&t->part[i], &t->part[k]));
	}
	assert_int_equal(n, axis == PLAN_COPY ? s->bytes * w->plan.n_node : s->bytes);
}

static void every_row_of_every_expert_arrives(void **state)
{
	(void)state;
	for (mix = mixes; mix < mixes + N_MIX; mix++) {
		struct source s[] = { { "up", mix->type_up, { mix->n_embd, mix->n_ff, mix->n_expert }, NULL, 0 },
				      { "down", mix->type_down, { mix->n_ff, mix->n_embd, mix->n_expert }, NULL, 0 },
				      { "other", mix->type_up, { mix->n_embd, 19, mix->n_expert }, NULL, 0 },
				      { "plain", mix->type_up, { mix->n_embd, mix->n_ff, 1 }, NULL, 0 } };
		char path[] = "/var/tmp/gyre-experts-XXXXXX";

		close(mkstemp(path));
		write_file(path, s, 4);
		for (int n_node = 1; n_node <= 3; n_node++)
			for (enum weights_direct d = WEIGHTS_DIRECT_NEVER; d <= WEIGHTS_DIRECT_ALWAYS; d++) {
				struct layout layout = layout_even(n_node, n_node);
				struct weights *w = NULL;

				if (weights_load(&w, path,
						 &(struct weights_options){ .plan = make_plan,
									    .layout = &layout,
									    .n_thread = n_node,
									    .direct = d },
						 &e))
					fail_msg("%s", e.text);
				check_tensor(w, &s[0], PLAN_ROW);
				check_tensor(w, &s[1], PLAN_ROW);
				check_tensor(w, &s[2], PLAN_COPY);
				check_tensor(w, &s[3], PLAN_ROW);
				weights_free(w);
			}
		unlink(path);
		for (int i = 0; i < 4; i++)
			free(s[i].data);
	}
}

static void refused(const char *name, uint32_t type, const uint64_t ne[4], uint32_t n_dim, const char *text)
{
	char path[] = "/var/tmp/gyre-experts-XXXXXX";
	struct weights *w = NULL;
	FILE *f;

	close(mkstemp(path));
	f = fopen(path, "wb");
	put(f, "GGUF", 4);
	put(f, &(uint32_t){ 3 }, 4);
	put(f, (uint64_t[]){ 1, 0 }, 16);
	put_str(f, name);
	put(f, &n_dim, 4);
	put(f, ne, n_dim * 8);
	put(f, &type, 4);
	put(f, &(uint64_t){ 0 }, 8);
	fclose(f);
	assert_int_equal(truncate(path, 1 << 20), 0);
	memset(&e, 0, sizeof(e));
	assert_int_equal(weights_load(&w, path, NULL, &e), -EINVAL);
	if (!strstr(e.text, text))
		fail_msg("'%s' lacks '%s'", e.text, text);
	unlink(path);
}

static void hostile_axes_are_refused_by_name(void **state)
{
	(void)state;
	refused("a", QUANT_F32, (uint64_t[]){ 1, 1, 4097, 1 }, 3, "'a' of 1 x 4097 matrices");
	refused("b", QUANT_F32, (uint64_t[]){ 4, 2, 2, 2 }, 4, "'b' of 2 x 2 matrices");
	refused("c", QUANT_F32, (uint64_t[]){ 4, 2, 0, 1 }, 4, "'c' has an impossible shape");
	refused("d", QUANT_F32, (uint64_t[]){ 1 << 20, 1 << 20, 1 << 24, 1 }, 3, "'d' has an impossible shape");
	refused("e", QUANT_F32, (uint64_t[]){ 4, 2, UINT64_MAX, 1 }, 3, "'e' has an impossible shape");
	refused("f", QUANT_Q8_0, (uint64_t[]){ 32, 2, 4096, 1 << 20 }, 4, "'f' ends past the end");
	refused("g", QUANT_Q8_0, (uint64_t[]){ 33, 2, 2, 1 }, 3, "'g': rows of 33");
	refused("h", QUANT_F32, (uint64_t[]){ 16, 1024, 32, 1 }, 3, "'h' ends past the end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_every_expert_arrives),
		cmocka_unit_test(hostile_axes_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
