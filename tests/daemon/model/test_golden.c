/*
 * Why: everything else here compares gyre with itself. These logits come from transformers (tools/golden/logits.py), so
 * a wrong pairing of rotary dimensions, a missing norm, or a mis-shared KV head cannot hide. Every model of tests/golden is
 * taken: an architecture brings its own.
 */
#include "tests/daemon/model/golden.h"
#include "tests/daemon/model/harness.h"

#include <glob.h>
#include <stdio.h>

#define MODEL_MAX 128

/*
 * How far from the reference, as a fraction of the logit range. Our own models (logits.py) have a reference whose cache rounds K and V to f16.
 * Others' (arch.py) have one that rounds nothing: with K and V in floats ours differ by the order of additions. In f16 they differ by the
 * rounding itself, which turns an expert where two are as good as equal; as much of it as llama.cpp loses by it (second.py) is no fault.
 */
#define FROM_F16_REFERENCE 1e-3
#define FROM_EXACT         1e-5
#define OVER_LLAMA_CPP     1.1

/* What llama.cpp's K and V in f16 are from the reference of a model of others. */
static double f16_of_llama_cpp(const char *model)
{
	FILE *f = fopen(GOLDEN "arch/f16.txt", "r");
	char name[64];
	double d;

	assert_non_null(f);
	while (fscanf(f, "%63s %lf", name, &d) == 2)
		if (!strcmp(name, model)) {
			fclose(f);
			return d;
		}
	fclose(f);
	fail_msg("%s has no line in f16.txt: tools/golden/second.py writes it", model);
	return 0;
}

static double distance_of(const char *path, const struct golden *g, enum kvq_type type)
{
	struct harness h;
	float *out = calloc((size_t)g->n_tok * g->n_vocab, sizeof(float));
	double d;

	harness_open_as(&h, path, &(struct harness_options){ .isa = ISA_MAX, .n_thread = 2, .kv_type = type });
	assert_int_equal(model_hparams(h.m)->n_vocab, g->n_vocab);
	harness_logits(&h, out, g->token, g->n_tok, g->n_tok, 0);
	d = distance(out, g->logits, (size_t)g->n_tok * g->n_vocab);
	harness_close(&h);
	free(out);
	return d;
}

/* *state: the model's path. */
static void agrees(void **state)
{
	const char *path = *state, *base = strstr(path, GOLDEN) + strlen(GOLDEN);
	bool is_others = !strncmp(base, "arch/", 5);
	double d, limit = FROM_F16_REFERENCE;
	struct golden g;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	golden_read(&g, name);
	if (is_others && OVER_LLAMA_CPP * f16_of_llama_cpp(name + 5) > limit)
		limit = OVER_LLAMA_CPP * f16_of_llama_cpp(name + 5);
	d = distance_of(path, &g, KVQ_F16);
	print_message("%s: largest difference %.2e of the logit range\n", name, d);
	assert_true(d <= limit);
	if (is_others) {
		d = distance_of(path, &g, KVQ_F32);
		print_message("%s: %.2e with K and V in f32\n", name, d);
		assert_true(d <= FROM_EXACT);
	}
	free(g.logits);
}

int main(void)
{
	struct CMUnitTest tests[MODEL_MAX];
	glob_t found = { 0 };
	size_t n;
	int r;

	if (glob(GOLDEN "*.gguf", 0, NULL, &found) || glob(GOLDEN "arch/*.gguf", GLOB_APPEND, NULL, &found) ||
	    found.gl_pathc > MODEL_MAX) {
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
