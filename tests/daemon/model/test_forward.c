/*
 * Why: the contract of the daemon is that a request's logits depend on the model and its tokens alone. Everything above
 * (speculation, preemption, the prefix cache) is lossless only because of it. So: one definition, the portable kernels
 * with one worker and one token per step, alone; and every other way to run the same tokens must give the same bits.
 */
#include "daemon/model/arch.h"
#include "tests/daemon/model/harness.h"
#include "tests/util/sanitized.h"
#include "tests/util/tiny.h"

#include <errno.h>
#include <unistd.h>

#define N_TOK   530 /* past ATTN_CHUNK: partial results are merged */
#define N_VOCAB 72

static const struct tiny models[] = {
	/* Three query heads per KV head, the types of small files, tied. */
	{ 64, 2, 6, 2, 16, 288, N_VOCAB, 1024, .type_embd = QUANT_Q8_0, .type_q = QUANT_Q4_1, .type_k = QUANT_Q4_0,
	  .type_v = QUANT_Q5_0, .type_o = QUANT_F16, .type_gate = QUANT_Q4_1, .type_up = QUANT_Q5_1,
	  .type_down = QUANT_Q8_0, .is_tied = true },
	/* K-quants; nine query heads to one KV head, more than one tile takes. */
	{ 256, 1, 9, 1, 16, 512, N_VOCAB, 1024, .type_embd = QUANT_BF16, .type_q = QUANT_Q4_K, .type_k = QUANT_Q5_K,
	  .type_v = QUANT_Q6_K, .type_o = QUANT_F32, .type_gate = QUANT_Q4_K, .type_up = QUANT_Q6_K,
	  .type_down = QUANT_Q5_K, .type_output = QUANT_Q6_K },
	/* Types below four bits, and those of tables. */
	{ 256, 1, 4, 2, 64, 768, N_VOCAB, 1024, .type_embd = QUANT_IQ4_XS, .type_q = QUANT_Q2_K, .type_k = QUANT_Q3_K,
	  .type_v = QUANT_IQ4_NL, .type_o = QUANT_MXFP4, .type_gate = QUANT_IQ4_XS, .type_up = QUANT_Q3_K,
	  .type_down = QUANT_Q2_K, .type_output = QUANT_MXFP4 },
	/* Blocks of the attention's output that cover two KV heads. */
	{ 256, 1, 8, 4, 64, 512, N_VOCAB, 1024, .type_embd = QUANT_Q4_0, .type_q = QUANT_Q4_K, .type_k = QUANT_Q4_K,
	  .type_v = QUANT_Q6_K, .type_o = QUANT_Q4_K, .type_gate = QUANT_Q4_K, .type_up = QUANT_Q4_K,
	  .type_down = QUANT_Q6_K, .is_tied = true },
};

/* One that sees 100 positions back: past a chunk's end all of a chunk is out of sight. */
static const struct tiny_kv window = { ".attention.sliding_window", 4, &(const uint32_t){ 100 }, 4 };
static const struct tiny windowed = { 64,
				      2,
				      6,
				      2,
				      16,
				      288,
				      N_VOCAB,
				      1024,
				      .type_embd = QUANT_Q8_0,
				      .type_q = QUANT_Q4_1,
				      .type_k = QUANT_Q4_0,
				      .type_v = QUANT_Q5_0,
				      .type_o = QUANT_F16,
				      .type_gate = QUANT_Q4_1,
				      .type_up = QUANT_Q5_1,
				      .type_down = QUANT_Q8_0,
				      .is_tied = true,
				      .kv = &window,
				      .n_kv = 1 };

/* Experts, of which a token takes three: matrices of seven types, and of shapes that end in mid-panel. */
static const struct tiny mixed[] = {
	{ 256, 1, 4, 2, 64, 512, N_VOCAB, 1024, .type_embd = QUANT_Q8_0, .type_q = QUANT_Q4_K, .type_k = QUANT_Q4_K,
	  .type_v = QUANT_Q6_K, .type_o = QUANT_Q4_K, .type_gate = QUANT_Q4_K, .type_up = QUANT_Q5_K,
	  .type_down = QUANT_Q6_K, .is_tied = true, .n_expert = 7, .n_expert_used = 3 },
	{ 96, 2, 4, 2, 32, 72, N_VOCAB, 1024, .type_embd = QUANT_Q8_0, .type_q = QUANT_Q4_0, .type_k = QUANT_Q8_0,
	  .type_v = QUANT_Q5_0, .type_o = QUANT_Q4_0, .type_gate = QUANT_MXFP4, .type_up = QUANT_IQ4_NL,
	  .type_down = QUANT_BF16, .is_tied = true, .n_expert = 20, .n_expert_used = 3 },
};

static char path[64];
static int32_t token[N_TOK];
static float want[N_TOK * N_VOCAB], got[N_TOK * N_VOCAB];

static void same(const char *isa, const struct harness_options *o, uint32_t chunk)
{
	for (size_t i = 0; i < N_TOK * N_VOCAB; i++)
		if (memcmp(&want[i], &got[i], sizeof(float)))
			fail_msg("%s, %d workers on %d nodes, chunks of %u: token %zu logit %zu is %a, not %a", isa,
				 o->n_thread, o->n_node, chunk, i / N_VOCAB, i % N_VOCAB, (double)got[i],
				 (double)want[i]);
}

static void open_model(struct harness *h, const struct tiny *o, const struct harness_options *ho)
{
	assert_int_equal(tiny_write(path, o), 0);
	harness_open_as(h, path, ho);
}

/* The definition. Also: it is a number, and the context matters. */
static void define(const struct tiny *o, enum kvq_type kv_type)
{
	static const struct tiny *defined;
	static enum kvq_type defined_type;
	struct harness h;
	uint32_t x = 7;

	if (defined == o && defined_type == kv_type)
		return;
	defined = o;
	defined_type = kv_type;
	for (int i = 0; i < N_TOK; i++)
		token[i] = (int32_t)((x = x * 1664525u + 1013904223u) >> 8) % N_VOCAB;
	open_model(&h, o, &(struct harness_options){ .isa = ISA_REF, .n_thread = 1, .kv_type = kv_type });
	harness_logits(&h, want, token, N_TOK, 1, 0);
	harness_close(&h);
	for (size_t i = 0; i < N_TOK * N_VOCAB; i++)
		assert_true(want[i] == want[i] && want[i] - want[i] == 0);
	assert_true(memcmp(want, want + N_VOCAB, N_VOCAB * sizeof(float)) != 0);
}

struct way {
	enum kernels_isa isa;
	int n_thread, n_node;
	uint32_t chunk, n_other;
};

/* Every chunk, team and company on the fastest kernels; the others are compared with ref in tests/kernels as well. */
static const struct way ways[] = {
	{ ISA_MAX, 1, 1, 512, 0 }, { ISA_MAX, 1, 1, 1, 0 },   { ISA_MAX, 2, 1, 512, 0 }, { ISA_MAX, 2, 1, 32, 0 },
	{ ISA_MAX, 2, 1, 7, 0 },   { ISA_MAX, 2, 1, 1, 0 },   { ISA_MAX, 3, 1, 512, 0 }, { ISA_MAX, 3, 1, 32, 0 },
	{ ISA_MAX, 3, 1, 7, 0 },   { ISA_MAX, 3, 1, 61, 17 }, { ISA_MAX, 1, 1, 32, 17 }, { ISA_BASE, 2, 1, 512, 0 },
	{ ISA_BASE, 1, 1, 7, 0 },  { ISA_REF, 2, 1, 512, 0 },
};

/* Divided between nodes, of one worker or of uneven numbers of them; where the model has too few chunks, as many as it has. */
static const struct way divided[] = {
	{ ISA_MAX, 2, 2, 1, 0 },   { ISA_MAX, 5, 2, 512, 0 },  { ISA_MAX, 3, 3, 61, 17 }, { ISA_MAX, 3, 2, 7, 0 },
	{ ISA_MAX, 8, 8, 32, 0 },  { ISA_BASE, 4, 4, 512, 0 }, { ISA_REF, 3, 2, 512, 0 }, { ISA_MAX, 3, 3, 1, 0 },
	{ ISA_MAX, 8, 8, 512, 0 }, { ISA_MAX, 8, 8, 1, 0 },    { ISA_MAX, 4, 4, 7, 0 },   { ISA_MAX, 11, 8, 61, 17 },
};

static uint32_t nodes_max(const struct tiny *o)
{
	uint32_t n = o->n_ff / quant_info(o->type_down)->block_len;

	return n < NODE_MAX ? n : NODE_MAX;
}

/* Under a sanitizer a way takes ten times as long, and finds what it finds in any of them: every fourth is taken. */
#define WAY_STEP (IS_SANITIZED ? 4 : 1)

static void check(const struct tiny *o, enum kvq_type kv_type, const struct way *way, size_t n)
{
	define(o, kv_type);
	for (size_t i = 0; i < n; i += WAY_STEP, way += WAY_STEP) {
		struct harness_options ho = { way->isa, way->n_thread, way->n_node, 0, kv_type };
		struct harness h;

		if ((uint32_t)ho.n_node > nodes_max(o))
			ho.n_node = (int)nodes_max(o);
		open_model(&h, o, &ho);
		memset(got, 0, sizeof(got));
		harness_logits(&h, got, token, N_TOK, way->chunk, way->n_other);
		same(h.k.isa, &ho, way->chunk);
		harness_close(&h);
	}
}

static void check_ways(const struct tiny *o, enum kvq_type kv_type)
{
	check(o, kv_type, ways, sizeof(ways) / sizeof(ways[0]));
}

static void any_number_of_nodes(void **state)
{
	const struct tiny *o = *state;

	/* The first model divides into eight, and is the quickest. */
	check(o, KVQ_F16, divided, o->n_ff == models[0].n_ff ? sizeof(divided) / sizeof(divided[0]) : 6);
}

static void any_number_of_nodes_q8_0(void **state)
{
	check(*state, KVQ_Q8_0, divided, 4);
}

static void any_isa_team_chunk_and_company(void **state)
{
	check_ways(*state, KVQ_F16);
}

static void the_same_with_kv_in_q8_0(void **state)
{
	check_ways(*state, KVQ_Q8_0);
}

/* Rows that turn out wrong leave nothing behind: not in K and V, not in a state. */
static void guesses_leave_nothing(void **state)
{
	const struct tiny *o = *state;

	define(o, KVQ_F16);
	for (int n_node = 1; n_node <= 2; n_node++) {
		struct harness_options ho = { ISA_MAX, 3, n_node, 0, KVQ_F16 };
		struct harness h;

		open_model(&h, o, &ho);
		harness_logits_guessed(&h, got, token, N_TOK, 61);
		harness_close(&h);
		same("guessed", &ho, 61);
	}
}

/* Their blocks may be anybody's by then, as the scheduler gives them back. */
static void what_lies_behind_a_window_is_not_read(void **state)
{
	struct harness h;

	(void)state;
	define(&windowed, KVQ_F16);
	open_model(&h, &windowed, &(struct harness_options){ .isa = ISA_MAX, .n_thread = 3, .n_node = 2 });
	assert_int_equal(model_window(h.m), 100);
	harness_reset(&h, 1, N_TOK);
	for (uint32_t at = 0, gone = 0; at < N_TOK; at += 10) {
		for (; at + 1 >= 100 + (gone + 1) * KV_BLOCK; gone++) {
			harness_poison(&h, h.block[0][gone]);
			h.block[0][gone] = UINT32_MAX;
		}
		harness_add(&h, 0, token + at, 10, true);
		harness_step(&h);
		for (uint32_t i = 0; i < 10; i++)
			assert_memory_equal(h.b->logits + i * h.b->logit_stride, want + (at + i) * N_VOCAB,
					    N_VOCAB * sizeof(float));
	}
	harness_close(&h);
}

static void only_asked_rows_get_logits(void **state)
{
	struct harness h;

	(void)state;
	define(&models[0], KVQ_F16);
	open_model(&h, &models[0], &(struct harness_options){ .isa = ISA_MAX, .n_thread = 2, .n_node = 2 });
	harness_reset(&h, 1, 64);
	harness_add(&h, 0, token, 40, false);
	h.b->n_logit = 2;
	h.b->logit_row[0] = 3;
	h.b->logit_row[1] = 39;
	harness_step(&h);
	assert_memory_equal(h.b->logits, want + 3 * N_VOCAB, N_VOCAB * sizeof(float));
	assert_memory_equal(h.b->logits + h.b->logit_stride, want + 39 * N_VOCAB, N_VOCAB * sizeof(float));
	for (uint32_t i = N_VOCAB; i < h.b->logit_stride; i++)
		assert_true(h.b->logits[i] == 0);
	harness_close(&h);
}

static void refuse(const struct tiny *o, int code, const char *word)
{
	struct model_options opt = { .n_row_max = 8, .n_logit_max = 8, .n_thread = 1 };
	struct error e = { "" };
	struct weights *w = NULL;
	struct kernels k;
	struct model *m = NULL;
	int r;

	assert_int_equal(tiny_write(path, o), 0);
	kernels_select(&k, ISA_MAX);
	r = weights_load(&w, path, &(struct weights_options){ .plan = model_plan, .n_thread = 1 }, &e);
	if (r == 0)
		r = model_open(&m, w, &k, &opt, &e);
	if (r != code || !strstr(e.text, word))
		fail_msg("%d (%s) instead of %d (%s)", r, e.text, code, word);
	weights_free(w);
}

/* Left out, and with another shape. */
static void refuse_without(struct tiny o, const char *name, bool is_optional)
{
	o.skip = name;
	if (!is_optional)
		refuse(&o, -EINVAL, name);
	o.skip = NULL;
	o.bend = name;
	o.type_q = o.type_k = o.type_v = o.type_o = o.type_gate = o.type_up = o.type_down = QUANT_F32;
	/* A shorter vocabulary is a model of its own; everything else has one right shape. */
	if (strcmp(name, "token_embd.weight") != 0)
		refuse(&o, -EINVAL, name);
}

static void a_model_with_a_part_missing_is_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; arch_at(i); i++) {
		struct tiny o = models[0];

		o.arch = arch_at(i)->name;
		refuse_without(o, "token_embd.weight", false);
		refuse_without(o, arch_at(i)->output_norm ? arch_at(i)->output_norm : "output_norm.weight", false);
		for (size_t k = 0; k < arch_at(i)->n_tensor; k++) {
			uint32_t layer = tiny_has(&o, k % 2, k) ? k % 2 : 1 - k % 2;
			char name[64];

			if (!tiny_has(&o, layer, k)) /* of experts, in a model that has none */
				continue;
			snprintf(name, sizeof(name), "blk.%u.%s", layer, arch_at(i)->tensor[k].name);
			refuse_without(o, name, arch_at(i)->tensor[k].is_optional);
		}
	}
}

static void a_model_that_gyre_would_misread_is_refused(void **state)
{
	struct tiny o = models[0];

	(void)state;
	for (size_t i = 0; arch_at(i); i++) {
		o.arch = arch_at(i)->name;
		o.extra = "blk.0.attn_rot_embd.weight";
		refuse(&o, -ENOTSUP, "tensor blk.0.attn_rot_embd.weight");
	}
	o = models[0];
	o.head_dim = 24;
	o.type_o = QUANT_F32;
	refuse(&o, -ENOTSUP, "multiples of 16");
	o = models[0];
	o.n_head_kv = 4;
	refuse(&o, -EINVAL, "share");
	o = models[0];
	o.row = "blk.1.ffn_norm.weight"; /* packed as a matrix, it would be read as a vector */
	refuse(&o, -EINVAL, o.row);
}

int main(void)
{
	/* Those of one model and one kind of KV follow each other: its definition takes longer than all but one of the ways. */
	const struct CMUnitTest tests[] = {
		{ "small types, tied", any_isa_team_chunk_and_company, NULL, NULL, (void *)&models[0] },
		cmocka_unit_test(only_asked_rows_get_logits),
		{ "guesses leave nothing", guesses_leave_nothing, NULL, NULL, (void *)&models[0] },
		{ "small types on nodes", any_number_of_nodes, NULL, NULL, (void *)&models[0] },
		{ "small types, q8_0 KV of half a block", the_same_with_kv_in_q8_0, NULL, NULL, (void *)&models[0] },
		{ "k-quants, one KV head", any_isa_team_chunk_and_company, NULL, NULL, (void *)&models[1] },
		{ "k-quants on nodes", any_number_of_nodes, NULL, NULL, (void *)&models[1] },
		{ "low bits and tables", any_isa_team_chunk_and_company, NULL, NULL, (void *)&models[2] },
		{ "low bits on nodes", any_number_of_nodes, NULL, NULL, (void *)&models[2] },
		{ "low bits, q8_0 KV of two blocks", the_same_with_kv_in_q8_0, NULL, NULL, (void *)&models[2] },
		{ "low bits, q8_0 KV on nodes", any_number_of_nodes_q8_0, NULL, NULL, (void *)&models[2] },
		{ "output blocks of two KV heads", any_isa_team_chunk_and_company, NULL, NULL, (void *)&models[3] },
		{ "output blocks of two KV heads, on nodes", any_number_of_nodes, NULL, NULL, (void *)&models[3] },
		{ "a window", any_isa_team_chunk_and_company, NULL, NULL, (void *)&windowed },
		{ "a window, on nodes", any_number_of_nodes, NULL, NULL, (void *)&windowed },
		{ "a window, q8_0 KV on nodes", any_number_of_nodes_q8_0, NULL, NULL, (void *)&windowed },
		cmocka_unit_test(what_lies_behind_a_window_is_not_read),
		{ "experts of k-quants", any_isa_team_chunk_and_company, NULL, NULL, (void *)&mixed[0] },
		{ "experts of k-quants on nodes", any_number_of_nodes, NULL, NULL, (void *)&mixed[0] },
		{ "experts of odd shapes", any_isa_team_chunk_and_company, NULL, NULL, (void *)&mixed[1] },
		{ "experts of odd shapes, on nodes", any_number_of_nodes, NULL, NULL, (void *)&mixed[1] },
		cmocka_unit_test(a_model_with_a_part_missing_is_refused_by_name),
		cmocka_unit_test(a_model_that_gyre_would_misread_is_refused),
	};
	int r;

	if (WAY_STEP > 1)
		puts("skip: of the ways to run the same tokens a sanitizer sees every fourth");
	snprintf(path, sizeof(path), "/tmp/gyre-test-model-%d.gguf", (int)getpid());
	r = cmocka_run_group_tests_name("llama", tests, NULL, NULL);
	unlink(path);
	return r;
}
