/*
 * Why: that a tiny f32 model agrees with transformers says little of what a user gets, which is a real model through
 * quantized products. Its predictions are compared here with those of the same weights dequantized, in transformers
 * (tools/golden/real.py), and its perplexity with llama.cpp's on the same text (tests/golden/real.txt).
 */
#include "tests/daemon/model/harness.h"

#include "tests/util/perplexity.h"
#include "tests/util/sanitized.h"
#include "daemon/text/text.h"
#include "daemon/text/vocab_gguf.h"
#include "tests/util/testmodel.h"

#include <math.h>
#include <stdio.h>

#define BIN     "tests/golden/real.bin"
#define TXT     "tests/golden/real.txt"
#define TEXT    "tests/golden/ppl.txt"
#define KV_TEXT "tests/golden/kv.txt" /* longer: what is sought is smaller */
#define TOP_MAX 64
#define STEP    128
#define WINDOW  512

/* Measured: 0.965, 0.0023, -0.0015, 0.0015. Our bits are the same everywhere, so little is left for others to differ in. */
#define TOP1_MIN      0.94
#define KL_MAX        0.004 /* nats, mean */
#define PPL_TOLERANCE 0.005
#define KV_KL_MAX     0.006 /* nats, mean; measured: 0.0049, with weights of V in f32 as well */

static struct harness h;
static const char *model;

static FILE *open_golden(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		fail_msg("%s is missing: run the tests from the top folder", path);
	return f;
}

static int setup(void **state)
{
	(void)state;
	model = testmodel_path();
	if (model)
		harness_open(&h, model, ISA_MAX, 2, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (model)
		harness_close(&h);
	return 0;
}

struct prediction {
	uint32_t pos, id[TOP_MAX];
	float logprob[TOP_MAX];
};

/* Of the reference's most probable tokens, and of all others as one: never more than over the whole vocabulary. */
static double divergence(const struct prediction *ref, uint32_t n_top, const float *logits, double log_z)
{
	double kl = 0, p_rest = 1, q_rest = 1;

	for (uint32_t i = 0; i < n_top; i++) {
		double p = exp((double)ref->logprob[i]), lq = (double)logits[ref->id[i]] - log_z;

		kl += p * ((double)ref->logprob[i] - lq);
		p_rest -= p;
		q_rest -= exp(lq);
	}
	return p_rest > 0 && q_rest > 0 ? kl + p_rest * log(p_rest / q_rest) : kl;
}

static double log_sum(const float *logits, uint32_t n, uint32_t *best)
{
	double sum = 0;

	*best = 0;
	for (uint32_t i = 1; i < n; i++)
		*best = logits[i] > logits[*best] ? i : *best;
	for (uint32_t i = 0; i < n; i++)
		sum += exp((double)(logits[i] - logits[*best]));
	return log(sum) + (double)logits[*best];
}

static void agrees_with_the_dequantized_weights(void **state)
{
	uint32_t n[3], n_same = 0, n_seen = 0, n_vocab, best;
	int32_t token[WINDOW];
	struct prediction ref;
	double kl = 0;
	FILE *f = open_golden(BIN);

	(void)state;
	if (!model)
		skip();
	n_vocab = model_hparams(h.m)->n_vocab;
	assert_int_equal(fread(n, 4, 3, f), 3);
	assert_true(n[0] <= WINDOW && n[2] <= TOP_MAX);
	assert_int_equal(fread(token, 4, n[0], f), n[0]);
	harness_reset(&h, 1, n[0]);
	for (uint32_t at = 0, i = 0; i < n[1]; i++) {
		const float *logits;

		assert_int_equal(fread(&ref.pos, 4, 1, f) + fread(ref.id, 4, n[2], f) + fread(ref.logprob, 4, n[2], f),
				 1 + 2 * n[2]);
		for (; at <= ref.pos; at += STEP) {
			harness_add(&h, 0, token + at, n[0] - at < STEP ? n[0] - at : STEP, true);
			harness_step(&h);
		}
		logits = h.b->logits + (size_t)(ref.pos % STEP) * h.b->logit_stride;
		kl += divergence(&ref, n[2], logits, log_sum(logits, n_vocab, &best));
		n_same += best == ref.id[0];
		n_seen++;
	}
	fclose(f);
	print_message("top-1 agreement %.4f, KL %.5f nats over %u positions\n", (double)n_same / n_seen, kl / n_seen,
		      n_seen);
	assert_true(n_seen >= 200);
	assert_true((double)n_same / n_seen >= TOP1_MIN);
	assert_true(kl / n_seen <= KL_MAX && kl >= 0);
}

/* The line "name value ..." of real.txt. */
static double golden_figure(const char *name)
{
	char line[512];
	double v = 0;
	FILE *f = open_golden(TXT);

	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ')
			v = strtod(line + strlen(name), NULL);
	fclose(f);
	assert_true(v > 1);
	return v;
}

static uint32_t tokenize(const char *path, int32_t *id, uint32_t n_max)
{
	static char text[65536];
	FILE *f = open_golden(path);
	size_t n = fread(text, 1, sizeof(text), f);
	struct vocab_scratch *s = vocab_scratch_new(sizeof(text));
	struct vocab *v = NULL;
	char err[256];
	int n_id;

	fclose(f);
	assert_int_equal(vocab_from_gguf(&v, h.w->gguf, err, sizeof(err)), 0);
	n_id = vocab_tokenize(v, s, text, n, true, false, (uint32_t *)id, n_max);
	assert_true(n_id > 0);
	vocab_scratch_free(s);
	vocab_free(v);
	return (uint32_t)n_id;
}

static void perplexity_is_that_of_llama_cpp(void **state)
{
	static int32_t id[8192];
	double llama_cpp = golden_figure("llama.cpp"), transformers = golden_figure("transformers");
	struct perplexity p;
	struct error e = { "" };

	(void)state;
	if (!model)
		skip();
	if (perplexity_run(&p, h.m, h.t, &h.k, id, tokenize(TEXT, id, 8192), WINDOW, WINDOW, -1, &e) < 0)
		fail_msg("%s", e.text);
	print_message("perplexity %.4f, llama.cpp %.4f (%+.2f %%), transformers %.4f (%+.2f %%), %u windows\n", p.ppl,
		      llama_cpp, 100 * (p.ppl / llama_cpp - 1), transformers, 100 * (p.ppl / transformers - 1),
		      p.n_window);
	assert_true(p.n_window >= 3);
	assert_true(fabs(p.ppl / llama_cpp - 1) <= PPL_TOLERANCE);
}

/* A window's logits [WINDOW][stride]; row i predicts the token after it. */
static const float *window_logits(struct harness *m, const int32_t *token)
{
	harness_reset(m, 1, WINDOW);
	harness_add(m, 0, token, WINDOW, true);
	harness_step(m);
	return m->b->logits;
}

/* Sums of -log p of the tokens that come, by each of two models, and of how far the second's predictions are from the first's. */
struct cost {
	double nll[2], kl;
	uint32_t n;
};

static void cost_add(struct cost *c, const float *const x[2], uint32_t n_vocab, int32_t token)
{
	static float weight[65536];
	float max[2] = { h.k.max(x[0], n_vocab), h.k.max(x[1], n_vocab) };
	double log_sum[2], sum = 0, apart = 0;

	for (int i = 0; i < 2; i++) {
		log_sum[i] = log((double)h.k.sum_exp(x[i], n_vocab, max[i])) + (double)max[i];
		c->nll[i] += log_sum[i] - (double)x[i][token];
	}
	h.k.exps(weight, x[0], n_vocab, 1, max[0]);
	for (uint32_t i = 0; i < n_vocab; i++) {
		sum += (double)weight[i];
		apart += (double)weight[i] * (double)(x[0][i] - x[1][i]);
	}
	c->kl += apart / sum - log_sum[0] + log_sum[1];
	c->n++;
}

/*
 * What a q8_0 KV costs in perplexity cannot be told from 3,500 tokens: two roundings of one model differ over them by some 0.2 %
 * by chance, either way, as much as is sought (kernels/README.md has the figures over five texts). How far its predictions are from
 * those with f16 can: of that, chance moves a hundredth.
 */
static void q8_0_kv_predicts_nearly_the_same(void **state)
{
	static int32_t id[8192];
	struct cost c = { 0 };
	struct harness q8;
	uint32_t n, n_vocab;

	(void)state;
	if (is_sanitized(
		    "14,000 tokens take a quarter of an hour under a sanitizer, and the other tests run the same code"))
		skip();
	if (!model)
		skip();
	n = tokenize(KV_TEXT, id, 8192);
	n_vocab = model_hparams(h.m)->n_vocab;
	harness_open_as(&q8, model, &(struct harness_options){ .isa = ISA_MAX, .n_thread = 2, .kv_type = KVQ_Q8_0 });
	for (uint32_t at = 0; at + WINDOW <= n; at += WINDOW) {
		const float *f16 = window_logits(&h, id + at), *q8_0 = window_logits(&q8, id + at);

		for (size_t i = WINDOW / 2; i + 1 < WINDOW; i++) {
			size_t row = i * h.b->logit_stride;

			cost_add(&c, (const float *const[]){ f16 + row, q8_0 + row }, n_vocab, id[at + i + 1]);
		}
	}
	harness_close(&q8);
	print_message("KV in q8_0 against f16: KL %.5f nats; perplexity %.3f and %.3f (%+.3f %%), %u tokens\n",
		      c.kl / c.n, exp(c.nll[1] / c.n), exp(c.nll[0] / c.n),
		      100 * (exp((c.nll[1] - c.nll[0]) / c.n) - 1), c.n);
	assert_true(c.n > 3000);
	assert_true(c.kl > 0);
	assert_true(c.kl / c.n <= KV_KL_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(agrees_with_the_dequantized_weights),
					    cmocka_unit_test(perplexity_is_that_of_llama_cpp),
					    cmocka_unit_test(q8_0_kv_predicts_nearly_the_same) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
