/*
 * Why: tiny models of random weights show that a pass is the architecture's; whether gyre reads the files that people run, their types,
 * vocabularies and keys as found, only such files show. Each real model that tools/fetch-model knows beside the default
 * one (test_real) has the text's tokens, and the perplexity, that llama.cpp has of it (tools/golden/perplexity.py).
 */
#include "daemon/text/text.h"
#include "daemon/text/vocab_gguf.h"
#include "tests/daemon/model/harness.h"
#include "tests/util/perplexity.h"
#include "tests/util/sanitized.h"
#include "tests/util/testmodel.h"

#include <math.h>
#include <stdio.h>

#define GOLDEN    "tests/golden/perplexity.txt"
#define TEXT      "tests/golden/ppl.txt"
#define TOLERANCE 0.005
#define WINDOW    512u
#define STEP      128u
#define TOKEN_MAX 8192
#define FIRST     8
#define ROW_MAX   8

/* A row of the golden file. */
struct row {
	char file[128], name[64];
	double perplexity;
	uint32_t n_token, first[FIRST];
};

static struct row rows[ROW_MAX];

static bool read_row(struct row *r, FILE *f)
{
	char line[512], *p;
	int n;

	if (!fgets(line, sizeof(line), f) ||
	    sscanf(line, "%127s %63s %lf %u%n", r->file, r->name, &r->perplexity, &r->n_token, &n) != 4)
		return false;
	p = line + n;
	for (int i = 0; i < FIRST; i++)
		r->first[i] = (uint32_t)strtoul(p, &p, 10);
	return true;
}

/* The text's tokens, without BOS; *bos: what the model wants first, or -1. */
static uint32_t tokenize(int32_t *id, int32_t *bos, const struct gguf *g)
{
	static char text[65536];
	struct vocab_scratch *s = vocab_scratch_new(sizeof(text));
	struct vocab *v = NULL;
	FILE *f = fopen(TEXT, "rb");
	char err[256];
	bool wants = false;
	size_t n;
	int n_id;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	if (vocab_from_gguf(&v, g, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	n_id = vocab_tokenize(v, s, text, n, false, false, (uint32_t *)id, TOKEN_MAX);
	assert_true(n_id > 0);
	if (gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &wants) < 0 || !wants ||
	    gguf_get_u32(g, "tokenizer.ggml.bos_token_id", (uint32_t *)bos) < 0)
		*bos = -1;
	vocab_scratch_free(s);
	vocab_free(v);
	return (uint32_t)n_id;
}

/* *state: its row. */
static void perplexity_is_that_of_llama_cpp(void **state)
{
	static int32_t id[TOKEN_MAX];
	const struct row *r = *state;
	const char *path = testmodel_other(r->file, r->name);
	const struct layout layout = layout_even(2, 1);
	struct model_options o = { STEP, STEP, 2, WINDOW, KVQ_F16 };
	struct weights *w;
	struct kernels k;
	struct model *m;
	struct team *t;
	struct perplexity p;
	struct error e = { "" };
	uint32_t n;
	int32_t bos;

	if (!path || is_sanitized("a real model takes minutes under a sanitizer, and the tiny ones run the same code"))
		skip();
	if (weights_load(&w, path, &(struct weights_options){ .plan = model_plan, .layout = &layout, .n_thread = 2 },
			 &e) < 0)
		fail_msg("%s", e.text);
	kernels_select(&k, ISA_MAX);
	if (model_open(&m, w, &k, &o, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(team_even(&t, 2, 1), 0);
	n = tokenize(id, &bos, w->gguf);
	assert_int_equal(n, r->n_token);
	assert_memory_equal(id, r->first, sizeof(r->first));
	if (perplexity_run(&p, m, t, &k, id, n, WINDOW, STEP, bos, &e) < 0)
		fail_msg("%s", e.text);
	print_message("%s: perplexity %.4f, llama.cpp %.4f (%+.2f %%), %u windows\n", r->name, p.ppl, r->perplexity,
		      100 * (p.ppl / r->perplexity - 1), p.n_window);
	assert_true(p.n_window >= 3);
	assert_true(fabs(p.ppl / r->perplexity - 1) <= TOLERANCE);
	team_free(t);
	model_close(m);
	weights_free(w);
}

int main(void)
{
	struct CMUnitTest tests[ROW_MAX];
	FILE *f = fopen(GOLDEN, "r");
	size_t n = 0;

	if (!f) {
		fprintf(stderr, GOLDEN " is missing: run the tests from the top folder\n");
		return 1;
	}
	for (; n < ROW_MAX && read_row(&rows[n], f); n++)
		tests[n] = (struct CMUnitTest){ rows[n].name, perplexity_is_that_of_llama_cpp, NULL, NULL, &rows[n] };
	fclose(f);
	return _cmocka_run_group_tests("real models", tests, n, NULL, NULL);
}
