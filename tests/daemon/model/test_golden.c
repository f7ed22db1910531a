/*
 * Why: everything else here compares gyre with itself. These logits come from transformers (tools/golden/logits.py), so
 * a wrong pairing of rotary dimensions, a missing norm, or a mis-shared KV head cannot hide.
 */
#include "tests/daemon/model/golden.h"
#include "tests/daemon/model/harness.h"

#include <stdio.h>

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
