/*
 * Why: everything else here compares gyre with itself. These logits come from transformers (tools/golden/logits.py), so
 * a wrong pairing of rotary dimensions, a missing norm, or a mis-shared KV head cannot hide. Every model of tests/golden is
 * taken: an architecture brings its own.
 */
#include "tests/daemon/model/golden.h"
#include "tests/daemon/model/harness.h"

#include <glob.h>
#include <stdio.h>

#define MODEL_MAX 64

/* *state: the model's path. */
static void agrees(void **state)
{
	const char *path = *state, *base = strrchr(path, '/') + 1;
	struct golden g;
	struct harness h;
	char name[64];
	double d;
	float *out;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	golden_read(&g, name);
	out = calloc((size_t)g.n_tok * g.n_vocab, sizeof(float));
	harness_open(&h, path, ISA_MAX, 2, 0);
	assert_int_equal(model_hparams(h.m)->n_vocab, g.n_vocab);
	harness_logits(&h, out, g.token, g.n_tok, g.n_tok, 0);
	d = distance(out, g.logits, (size_t)g.n_tok * g.n_vocab);
	print_message("%s: largest difference %.2e of the logit range\n", name, d);
	assert_true(d <= 1e-3);
	harness_close(&h);
	free(out);
	free(g.logits);
}

int main(void)
{
	struct CMUnitTest tests[MODEL_MAX];
	glob_t found = { 0 };
	size_t n;
	int r;

	if (glob(GOLDEN "*.gguf", 0, NULL, &found) || found.gl_pathc > MODEL_MAX) {
		fprintf(stderr, "no models, or more than %d, in " GOLDEN ": run the tests from the top folder\n",
			MODEL_MAX);
		return 1;
	}
	for (n = 0; n < found.gl_pathc; n++)
		tests[n] = (struct CMUnitTest){ found.gl_pathv[n], agrees, NULL, NULL, found.gl_pathv[n] };
	r = _cmocka_run_group_tests("golden", tests, n, NULL, NULL);
	globfree(&found);
	return r;
}
