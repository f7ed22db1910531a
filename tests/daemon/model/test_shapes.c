/*
 * Why: a model file is downloaded from strangers. A header whose numbers do not fit one another, or its tensors, must be refused
 * with a word about it, on any number of nodes; and the oddest shape that is let through has one right answer, however it is
 * divided.
 */
#include "tests/daemon/model/harness.h"
#include "tests/util/tiny.h"

#include <unistd.h>

#define N_TOK   37 /* more than four tiles, the last one uneven */
#define N_VALID 45
#define N_BENT  400
#define SLACK   (1u << 20) /* of file behind the tensors: those that claim more may have it */

static char path[64];
static uint32_t seed;
#define VOCAB_MAX 800u /* up to four ranges of logits */
static float want[N_TOK * VOCAB_MAX], got[N_TOK * VOCAB_MAX];

static uint32_t below(uint32_t n)
{
	return ((seed = seed * 1664525u + 1013904223u) >> 8) % n;
}

#define ANY(list) (list)[below(sizeof(list) / sizeof((list)[0]))]

/* A type whose blocks fill n_col. */
static uint32_t any_type(uint32_t n_col)
{
	for (;;) {
		uint32_t type = below(QUANT_TYPE_MAX);

		if (quant_info(type) && n_col % quant_info(type)->block_len == 0)
			return type;
	}
}

static uint32_t count_archs(void)
{
	uint32_t n = 0;

	while (tiny_arch(n))
		n++;
	return n;
}

static struct tiny any_model(void)
{
	static const uint32_t embd[] = { 16, 32, 48, 64, 96, 256 }, dim[] = { 16, 32, 48, 64, 80, 256 };
	static const uint32_t ff[] = { 1, 15, 16, 17, 32, 33, 96, 130, 160, 256, 288, 512, 544, 768 };
	struct tiny o = { .n_embd = ANY(embd),
			  .n_layer = 1 + below(2),
			  .n_head_kv = 1 + below(9),
			  .head_dim = ANY(dim),
			  .n_ff = ANY(ff),
			  .n_vocab = 3 + below(below(2) ? 70 : VOCAB_MAX - 3),
			  .n_ctx = 64,
			  .is_tied = below(2) };

	o.arch = tiny_arch(below(count_archs()));
	o.n_head = o.n_head_kv * (1 + below(4));
	o.type_embd = any_type(o.n_embd);
	o.type_q = any_type(o.n_embd);
	o.type_k = any_type(o.n_embd);
	o.type_v = any_type(o.n_embd);
	o.type_gate = any_type(o.n_embd);
	o.type_up = any_type(o.n_embd);
	o.type_output = any_type(o.n_embd);
	o.type_o = any_type(o.n_head * o.head_dim);
	o.type_down = any_type(o.n_ff);
	return o;
}

/* false: refused, with a text. Else the logits of N_TOK tokens, in steps of `chunk`. */
static bool run(float *logits, int n_thread, int n_node, uint32_t chunk)
{
	struct layout layout = layout_even(n_thread, n_node);
	struct weights_options wo = { .plan = model_plan, .layout = &layout, .n_thread = 1 };
	struct model_options mo = { HARNESS_ROWS, HARNESS_ROWS, (uint32_t)n_thread, N_TOK, KVQ_F16 };
	struct harness_options ho = { ISA_MAX, n_thread, n_node, N_TOK, KVQ_F16 };
	struct error e = { "" };
	struct weights *w = NULL;
	struct model *m = NULL;
	struct kernels k;
	int32_t token[N_TOK];
	struct harness h;
	bool is_open;

	kernels_select(&k, ISA_MAX);
	is_open = weights_load(&w, path, &wo, &e) == 0 && model_open(&m, w, &k, &mo, &e) == 0;
	is_open = is_open && model_hparams(m)->n_vocab <= VOCAB_MAX;
	model_close(m);
	weights_free(w);
	if (!is_open) {
		assert_true(strlen(e.text) > 20);
		return false;
	}
	harness_open_as(&h, path, &ho);
	for (uint32_t i = 0; i < N_TOK; i++)
		token[i] = (int32_t)(i * 7 % model_hparams(h.m)->n_vocab);
	harness_logits(&h, logits, token, N_TOK, chunk, 0);
	harness_close(&h);
	return true;
}

static void any_shape_has_one_answer(void **state)
{
	static const uint32_t chunk[] = { N_TOK, 19, 5 }; /* tiles of rows, and less than one */

	(void)state;
	for (uint32_t i = 0; i < N_VALID; i++) {
		struct tiny o;

		seed = i;
		o = any_model();
		assert_int_equal(tiny_write(path, &o), 0);
		memset(want, 0, sizeof(want));
		assert_true(run(want, 1, 1, 1));
		for (int n_node = 1 + (int)below(2); n_node <= NODE_MAX; n_node += 1 + (int)below(4)) {
			memset(got, 0, sizeof(got));
			if (!run(got, n_node + (int)below(3), n_node, ANY(chunk)))
				break;
			if (memcmp(want, got, N_TOK * o.n_vocab * sizeof(float)))
				fail_msg("model %u is another one on %d nodes", i, n_node);
		}
	}
}

/* One of the two has nothing of the attention, and of its output there is one partial sum. */
static void one_head_on_two_nodes(void **state)
{
	static const uint32_t chunk[] = { 1, 5, N_TOK };
	struct tiny o = { 64, 2, 1, 1, 32, 96, 40, 64, .type_embd = QUANT_Q8_0, .is_tied = true };

	(void)state;
	o.type_q = o.type_k = o.type_v = o.type_o = o.type_gate = o.type_up = o.type_down = QUANT_Q4_0;
	assert_int_equal(tiny_write(path, &o), 0);
	assert_true(run(want, 1, 1, 1));
	for (size_t i = 0; i < sizeof(chunk) / sizeof(chunk[0]); i++) {
		memset(got, 0, sizeof(got));
		assert_true(run(got, 3, 2, chunk[i]));
		assert_memory_equal(want, got, N_TOK * o.n_vocab * sizeof(float));
	}
}

/* As large as kernels take them; and no larger. */
static void the_largest_heads(void **state)
{
	static const uint32_t chunk[] = { 1, 5, N_TOK };
	struct tiny o = { 64, 1, 2, 1, DIM_V_MAX, 96, 40, 64, .type_embd = QUANT_Q8_0, .is_tied = true };

	(void)state;
	o.type_q = o.type_k = o.type_v = o.type_o = o.type_gate = o.type_up = o.type_down = QUANT_Q4_0;
	assert_int_equal(tiny_write(path, &o), 0);
	assert_true(run(want, 1, 1, 1));
	for (size_t i = 0; i < sizeof(chunk) / sizeof(chunk[0]); i++) {
		memset(got, 0, sizeof(got));
		assert_true(run(got, 3, 2, chunk[i]));
		assert_memory_equal(want, got, N_TOK * o.n_vocab * sizeof(float));
	}
	o.head_dim += 16;
	assert_int_equal(tiny_write(path, &o), 0);
	assert_false(run(got, 1, 1, 1));
}

struct file {
	uint8_t *p;
	size_t n;
};

static struct file file_read(void)
{
	FILE *f = fopen(path, "rb");
	struct file file = { NULL, 0 };

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	file.n = (size_t)ftell(f);
	rewind(f);
	file.p = malloc(file.n);
	assert_int_equal(fread(file.p, 1, file.n, f), file.n);
	fclose(f);
	return file;
}

static void file_write(struct file *file)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(file->p, 1, file->n, f), file->n);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(ftruncate(fileno(f), (off_t)(file->n + SLACK)), 0);
	fclose(f);
	free(file->p);
}

/* What follows a string of the header. */
static uint8_t *behind(const struct file *f, const char *text)
{
	uint8_t *at = memmem(f->p, f->n, text, strlen(text));

	return at ? at + strlen(text) : NULL;
}

static void bend_key(const struct file *f)
{
	static const char *const key[] = { ".embedding_length",        ".block_count",
					   ".feed_forward_length",     ".attention.head_count",
					   ".attention.head_count_kv", ".attention.key_length",
					   ".attention.value_length",  ".context_length" };
	static const uint32_t value[] = { 0,
					  1,
					  2,
					  7,
					  15,
					  16,
					  17,
					  31,
					  255,
					  256,
					  4096,
					  1 << 16,
					  (1 << 20) - 1,
					  1 << 20,
					  (1 << 20) + 1,
					  1u << 31,
					  UINT32_MAX };
	/* The whole string: its length comes before it, and head_count is the beginning of another. */
	uint8_t *at = behind(f, ANY(key));
	uint32_t v = below(2) ? ANY(value) : 1 + below(300);

	assert_non_null(at);
	if (memcmp(at, "_kv", 3) == 0)
		at += 3;
	memcpy(at + 4, &v, sizeof(v));
}

static void bend_tensor(const struct file *f)
{
	static const char *const name[] = {
		"token_embd.weight",        "output_norm.weight",       "output.weight",
		"blk.0.attn_norm.weight",   "blk.0.attn_q.weight",      "blk.0.attn_k.weight",
		"blk.0.attn_v.weight",      "blk.0.attn_output.weight", "blk.0.ffn_norm.weight",
		"blk.0.ffn_gate.weight",    "blk.0.ffn_up.weight",      "blk.0.ffn_down.weight",
		"blk.1.attn_output.weight", "blk.1.ffn_down.weight",    "blk.0.attn_q.bias",
		"blk.0.attn_k.bias",        "blk.0.attn_q_norm.weight", "blk.1.attn_k_norm.weight"
	};
	static const uint64_t value[] = { 0, 1, 2, 16, 17, 256, 512, 1 << 16, 1u << 31, 1ull << 32, UINT64_MAX };
	uint8_t *at = behind(f, ANY(name));
	uint32_t n_dim, type = below(QUANT_TYPE_MAX + 1);
	uint64_t v = below(2) ? ANY(value) : 1 + below(300);

	if (!at)
		return;
	memcpy(&n_dim, at, sizeof(n_dim));
	if (below(3) == 0)
		memcpy(at + 4 + 8 * n_dim, &type, sizeof(type));
	else
		memcpy(at + 4 + 8 * below(n_dim), &v, sizeof(v));
}

static void what_does_not_fit_is_refused(void **state)
{
	uint32_t n_refused = 0;

	(void)state;
	for (uint32_t i = 0; i < N_BENT; i++) {
		int n_node = 1 + (int)(i % NODE_MAX);
		struct tiny o;
		struct file f;

		seed = i + 1000;
		o = any_model();
		assert_int_equal(tiny_write(path, &o), 0);
		f = file_read();
		for (uint32_t n = 1 + below(2); n; n--)
			below(2) ? bend_key(&f) : bend_tensor(&f);
		file_write(&f);
		n_refused += !run(got, n_node, n_node, N_TOK);
	}
	assert_in_range(n_refused, N_BENT / 2, N_BENT - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(any_shape_has_one_answer),
					    cmocka_unit_test(one_head_on_two_nodes),
					    cmocka_unit_test(the_largest_heads),
					    cmocka_unit_test(what_does_not_fit_is_refused) };
	int r;

	snprintf(path, sizeof(path), "/tmp/gyre-test-shapes-%d.gguf", (int)getpid());
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return r;
}
