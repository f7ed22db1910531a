/* Logits of other implementations (tools/golden), and how far ours are from them. */
#ifndef GYRE_TESTS_MODEL_GOLDEN_H
#define GYRE_TESTS_MODEL_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOLDEN    "tests/golden/"
#define N_TOK_MAX 64

struct golden {
	uint32_t n_tok, n_vocab;
	int32_t token[N_TOK_MAX];
	float *logits;
};

static inline void golden_read(struct golden *g, const char *name)
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
static inline double distance(const float *a, const float *ref, size_t n)
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

#endif
