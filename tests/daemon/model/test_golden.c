/*
 * Why: everything else here compares gyre with itself. These logits come from transformers (tools/golden/logits.py), so
 * a wrong pairing of rotary dimensions, a missing norm, or a mis-shared KV head cannot hide.
 */
#include "tests/daemon/model/harness.h"

#include <stdint.h>
#include <stdio.h>

#define GOLDEN    "tests/golden/"
#define N_TOK_MAX 64

struct golden {
	uint32_t n_tok, n_vocab;
	int32_t token[N_TOK_MAX];
	float *logits;
};

static void golden_read(struct golden *g, const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "%s.bin", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("%s is missing: run the tests from the top folder", path);
	assert_int_equal(fread(&g->n_tok, 4, 2, f), 2);
	assert_true(g->n_tok <= N_TOK_MAX && g->n_vocab < 1000);
	assert_int_equal(fread(g->token, 4, g->n_tok, f), g->n_tok);
	g->logits = malloc((size_t)g->n_tok * g->n_vocab * 4);
	assert_int_equal(fread(g->logits, 4, (size_t)g->n_tok * g->n_vocab, f), g->n_tok * g->n_vocab);
	fclose(f);
}

/* The largest difference, as a fraction of the range of the reference. */
static double distance(const float *a, const float *ref, size_t n)
{
	double max = -1e30, min = 1e30, diff = 0;

	for (size_t i = 0; i < n; i++) {
		double d = a[i] - ref[i];

		/* Written so that a NaN counts as infinitely far. */
		diff = d <= diff && -d <= diff ? diff : d == d ? (d < 0 ? -d : d) : 1e30;
		max = ref[i] > max ? ref[i] : max;
		min = ref[i] < min ? ref[i] : min;
	}
	return diff / (max - min);
}

static void agrees(void **state)
{
	const char *name = *state;
	struct golden g;
	struct harness h;
	char path[128];
	float *out;

	golden_read(&g, name);
	out = calloc((size_t)g.n_tok * g.n_vocab, sizeof(float));
	snprintf(path, sizeof(path), GOLDEN "%s.gguf", name);
	harness_open(&h, path, ISA_MAX, 2, 0);
	assert_int_equal(model_hparams(h.m)->n_vocab, g.n_vocab);
	harness_logits(&h, out, g.token, g.n_tok, g.n_tok, 0);
	print_message("%s: largest difference %.2e of the logit range\n", name,
		      distance(out, g.logits, (size_t)g.n_tok * g.n_vocab));
	assert_true(distance(out, g.logits, (size_t)g.n_tok * g.n_vocab) <= 1e-3);
	harness_close(&h);
	free(out);
	free(g.logits);
}

#define AGREES(name)                                                \
	{                                                           \
		"agrees: " name, agrees, NULL, NULL, (void *)(name) \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AGREES("llama_plain"),
		AGREES("llama_linear"),
		AGREES("llama_llama3"),
		AGREES("llama_yarn"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
