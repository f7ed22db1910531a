/*
 * Why: an architecture is right when it agrees with the reference (test_golden), and it is gyre's when nothing but the model and its tokens
 * enters its logits: not threads, nodes, chunks, company, instruction sets, nor which types its matrices have. test_forward holds
 * what all architectures share to that, in the shape of a llama; this holds what each of them adds: the models that others made
 * (tests/golden/arch), as they are and retyped at random. One definition: the portable kernels, one worker, one row a step, alone.
 */
#include "tests/daemon/model/harness.h"
#include "tests/util/levels.h"
#include "tests/util/retype.h"
#include "tests/util/sanitized.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#define MODELS    "tests/golden/arch/*.gguf"
#define MODEL_MAX 128
#define N_TOK     50  /* two blocks of K and V, behind every window of these models */
#define N_LONG    530 /* past ATTN_CHUNK: partial results are merged */
#define VOCAB_MAX 320
#define ALL       HARNESS_ROWS

/* One way to run the tokens. */
struct way {
	enum kernels_isa isa;
	int n_thread, n_node;
	uint32_t chunk, n_other;
};

/* Under a sanitizer a way takes ten times as long, and finds what it finds in any of them: every fourth is taken. */
#define WAY_STEP (IS_SANITIZED ? 4 : 1)

static const struct way ways[] = {
	{ ISA_MAX, 3, 2, 7, 17 },   { ISA_MAX, 1, 1, ALL, 0 }, { ISA_MAX, 1, 1, 1, 0 },    { ISA_MAX, 2, 1, 7, 0 },
	{ ISA_MAX, 3, 1, 32, 17 },  { ISA_MAX, 4, 4, 7, 0 },   { ISA_MAX, 2, 2, ALL, 0 },  { ISA_BASE, 1, 1, ALL, 0 },
	{ ISA_MAX, 4, 4, ALL, 0 },  { ISA_MAX, 3, 1, 7, 0 },   { ISA_MAX, 2, 1, ALL, 0 },  { ISA_MAX, 2, 2, 1, 0 },
	{ ISA_BASE, 3, 2, 32, 17 }, { ISA_REF, 2, 2, ALL, 0 }, { ISA_MAX, 1, 1, 32, 17 },  { ISA_MAX, 3, 1, ALL, 0 },
	{ ISA_MAX, 2, 1, 1, 0 },    { ISA_MAX, 4, 4, 32, 17 }, { ISA_MAX, 2, 2, 32, 0 },   { ISA_MAX, 1, 1, 7, 17 },
	{ ISA_REF, 3, 1, ALL, 17 }, { ISA_BASE, 2, 1, 7, 0 },  { ISA_MAX, 5, 2, ALL, 17 },
};
#define N_WAY (sizeof(ways) / sizeof(ways[0]))

/* The files that a model is run from, and how K and V are stored in them. */
static const struct run {
	uint32_t seed; /* of the mixture of types; 0: as it is */
	enum kvq_type kv_type;
	size_t first, step; /* which of the ways */
} runs[] = {
	{ 0, KVQ_F16, 0, 1 }, { 0, KVQ_F32, 1, 4 }, { 1, KVQ_Q8_0, 0, 2 }, { 2, KVQ_F16, 1, 2 }, { 3, KVQ_F32, 2, 5 },
};
#define N_RUN (sizeof(runs) / sizeof(runs[0]))

static char path[64];
static int32_t token[N_LONG];
static float want[N_LONG * VOCAB_MAX], got[N_LONG * VOCAB_MAX];

/* Returns the name of the kernels that ran. */
static const char *logits_of(float *out, const struct way *w, enum kvq_type kv_type, uint32_t n_tok)
{
	struct harness_options o = { w->isa, w->n_thread, w->n_node, 0, kv_type };
	struct harness h;

	harness_open_as(&h, path, &o);
	assert_true(model_hparams(h.m)->n_vocab == VOCAB_MAX && model_n_ctx(h.m) >= n_tok);
	harness_logits(&h, out, token, n_tok, w->chunk, w->n_other);
	harness_close(&h);
	return h.k.isa;
}

/* The definition; by `isa`, which is ISA_REF where that is soon done. Also: it is a number, and the context matters. */
static void define(enum kernels_isa isa, enum kvq_type kv_type, uint32_t n_tok)
{
	logits_of(want, &(struct way){ isa, 1, 1, 1, 0 }, kv_type, n_tok);
	for (size_t i = 0; i < (size_t)n_tok * VOCAB_MAX; i++)
		if (!(want[i] - want[i] == 0))
			fail_msg("token %zu logit %zu is %g", i / VOCAB_MAX, i % VOCAB_MAX, (double)want[i]);
	assert_true(memcmp(want, want + VOCAB_MAX, VOCAB_MAX * sizeof(float)) != 0);
}

static void check(const struct run *r, const struct way *w, uint32_t n_tok)
{
	const char *isa;

	memset(got, 0, sizeof(got));
	isa = logits_of(got, w, r->kv_type, n_tok);
	for (size_t i = 0; i < (size_t)n_tok * VOCAB_MAX; i++)
		if (memcmp(&want[i], &got[i], sizeof(float)))
			fail_msg("types %u, KV in %s, %s, %d workers on %d nodes, chunks of %u beside %u: token %zu "
				 "logit %zu is %a, not %a",
				 r->seed, kvq_name(r->kv_type), isa, w->n_thread, w->n_node, w->chunk, w->n_other,
				 i / VOCAB_MAX, i % VOCAB_MAX, (double)got[i], (double)want[i]);
}

/* As many nodes as it can be divided between, up to `most`. */
static int nodes_max(int most)
{
	struct error e = { "" };
	struct gguf *g;
	struct plan p;

	assert_int_equal(gguf_open(&g, path, &e), 0);
	while (most > 1 && model_plan(&p, g, (uint32_t)most, &e) == -E2BIG)
		most--;
	gguf_close(g);
	return most;
}

static void open_file(const char *model, uint32_t seed)
{
	assert_int_equal(retype_write(path, model, seed), 0);
}

static void every_way(const char *model, const struct run *r)
{
	int n_node;

	open_file(model, r->seed);
	n_node = nodes_max(4);
	define(ISA_REF, r->kv_type, N_TOK);
	for (size_t i = r->first; i < N_WAY; i += r->step * WAY_STEP) {
		struct way w = ways[i];

		w.n_node = w.n_node < n_node ? w.n_node : n_node;
		check(r, &w, N_TOK);
	}
}

/* Sequences side by side, all of the same tokens, each with a prompt of its own length and guesses of its own numbers. */
#define N_GUESSER 5

struct guesser {
	uint32_t at, n_draft, n_hit, logit0;
};

/* The prompt, or the next token and guesses, of which the first n_hit are right. */
static void guess(struct harness *h, uint32_t seq, struct guesser *g, uint32_t n_step)
{
	int32_t next[1 + REQUEST_DRAFT_MAX];

	g->logit0 = h->b->n_logit;
	if (g->at == 0) {
		g->n_draft = 0;
		g->n_hit = 2 + 4 * seq;
		harness_add(h, seq, token, 1 + g->n_hit, true);
		return;
	}
	g->n_draft = (7 * n_step + 3 * seq) % (REQUEST_DRAFT_MAX + 1);
	g->n_hit = (5 * n_step + seq) % (g->n_draft + 1);
	g->n_hit = g->n_hit < N_TOK - g->at ? g->n_hit : N_TOK - g->at - 1;
	for (uint32_t i = 0; i <= g->n_draft; i++)
		next[i] = i <= g->n_hit ? token[g->at + i] : (token[g->at] + 1 + (int32_t)i) % VOCAB_MAX;
	harness_add_guessed(h, seq, next, g->n_draft);
}

/* The rows that were right have the logits of the definition. */
static void check_guess(struct harness *h, uint32_t seq, struct guesser *g, const struct way *w)
{
	for (uint32_t i = 0; i <= g->n_hit; i++)
		if (memcmp(h->b->logits + (g->logit0 + i) * h->b->logit_stride, want + (g->at + i) * VOCAB_MAX,
			   VOCAB_MAX * sizeof(float)))
			fail_msg("%s, %d workers on %d nodes: token %u of sequence %u, %u of %u guesses right, is "
				 "another",
				 h->k.isa, w->n_thread, w->n_node, g->at + i, seq, g->n_hit, g->n_draft);
	if (g->at)
		harness_accept(h, seq, g->n_hit);
	g->at += 1 + g->n_hit;
}

static void guesses_leave_no_trace(const struct run *r, const struct way *w)
{
	struct harness_options o = { w->isa, w->n_thread, w->n_node, 0, r->kv_type };
	struct guesser g[N_GUESSER] = { 0 };
	struct harness h;
	uint32_t n_left = N_GUESSER;

	harness_open_as(&h, path, &o);
	harness_reset(&h, N_GUESSER, N_TOK + REQUEST_DRAFT_MAX);
	for (uint32_t n_step = 0; n_left; n_step++) {
		bool is_on[N_GUESSER];

		for (uint32_t s = 0; s < N_GUESSER; s++) {
			is_on[s] = g[s].at < N_TOK;
			if (is_on[s])
				guess(&h, s, &g[s], n_step);
		}
		harness_step(&h);
		for (uint32_t s = 0; s < N_GUESSER; s++) {
			if (!is_on[s])
				continue;
			check_guess(&h, s, &g[s], w);
			n_left -= g[s].at == N_TOK;
		}
	}
	harness_close(&h);
}

/* The levels between the least and the preferred one, which the ways name; and guesses. */
static void every_isa_and_guesses(const char *model)
{
	static const struct run r = { 1, KVQ_F16, 0, 1 };

	open_file(model, r.seed);
	define(ISA_REF, r.kv_type, N_TOK);
	for (int isa = ISA_BASE; kernels_isa_name((enum kernels_isa)isa); isa += WAY_STEP) {
		if (!kernels_can_run((enum kernels_isa)isa))
			continue;
		check(&r, &(struct way){ (enum kernels_isa)isa, 2, 1, ALL, 0 }, N_TOK);
		check(&r, &(struct way){ (enum kernels_isa)isa, 1, 1, 1, 0 }, N_TOK);
	}
	guesses_leave_no_trace(&r, &(struct way){ .isa = ISA_MAX, 3, nodes_max(2) });
	guesses_leave_no_trace(&r, &(struct way){ .isa = ISA_MAX, 1, 1 });
	guesses_leave_no_trace(&r, &(struct way){ .isa = ISA_REF, 2, 1 });
}

static void past_a_chunk_of_attention(const char *model)
{
	static const struct run r = { 4, KVQ_F16, 0, 1 };

	open_file(model, r.seed);
	define(ISA_BASE, r.kv_type, N_LONG);
	check(&r, &(struct way){ ISA_MAX, 3, nodes_max(2), 512, 0 }, N_LONG);
	check(&r, &(struct way){ ISA_MAX, 2, 1, 61, 17 }, N_LONG);
}

/* *state: the model's path. */
static void only_tokens_matter(void **state)
{
	const char *model = *state;

	for (size_t i = 0; i < N_RUN; i++)
		every_way(model, &runs[i]);
	every_isa_and_guesses(model);
	past_a_chunk_of_attention(model);
}

static void make_tokens(void)
{
	uint32_t x = 7;

	for (int i = 0; i < N_LONG; i++)
		token[i] = (int32_t)((x = x * 1664525u + 1013904223u) >> 8) % VOCAB_MAX;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[MODEL_MAX];
	glob_t found = { 0 };
	size_t n = 0;
	int r;

	if (glob(MODELS, 0, NULL, &found) || found.gl_pathc > MODEL_MAX) {
		fprintf(stderr, "no models, or more than %d, in " MODELS ": run the tests from the top folder\n",
			MODEL_MAX);
		return 1;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (argc < 2 || strstr(found.gl_pathv[i], argv[1]))
			tests[n++] = (struct CMUnitTest){ found.gl_pathv[i], only_tokens_matter, NULL, NULL,
							  found.gl_pathv[i] };
	for (int isa = ISA_BASE; kernels_isa_name((enum kernels_isa)isa); isa++)
		(void)level_runs(isa);
	if (WAY_STEP > 1)
		puts("skip: of the ways to run the same tokens a sanitizer sees every fourth");
	snprintf(path, sizeof(path), "/tmp/gyre-test-arch-%d.gguf", (int)getpid());
	make_tokens();
	r = _cmocka_run_group_tests("architectures", tests, n, NULL, NULL);
	unlink(path);
	globfree(&found);
	return r;
}
