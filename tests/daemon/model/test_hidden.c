/*
 * Why: a vector of a text has no answer that looks wrong; one that is normed too early, or of another row, finds other documents and
 * nothing fails. The rows that a model gives are judged by the logits of the references (golden.h): times the vocabulary's matrix
 * in double, they are those. And asking for them changes no bit of theirs or of anybody's logits,
 * whatever the chunks, threads, nodes and neighbours.
 */
#include "tests/daemon/model/golden.h"
#include "tests/daemon/model/harness.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>

#define FROM_EXACT 1e-5 /* of the logit range, K and V in f32 (test_golden.c) */
#define EMBD_MAX   1024u

/* Vectors of all tokens of sequence 0, in steps of `chunk` rows, beside n_other strangers of whose rows some have logits or vectors. */
static void hidden_of(struct harness *h, float *out, const struct golden *g, uint32_t chunk, uint32_t n_other)
{
	uint32_t n_embd = model_hparams(h->m)->n_embd;

	harness_reset(h, 1 + n_other, g->n_tok);
	for (uint32_t at = 0, n; at < g->n_tok; at += n) {
		uint32_t first;

		n = g->n_tok - at < chunk ? g->n_tok - at : chunk;
		for (uint32_t s = 1; s <= n_other && h->n_past[s] + 3 <= g->n_tok; s++) {
			harness_add(h, s, g->token + (s * 5 + at) % (g->n_tok - 3), 1 + s % 3, s % 2);
			if (s % 3 == 0)
				harness_want_hidden(h);
		}
		first = h->b->n_hidden;
		harness_add(h, 0, g->token + at, n, at % 2);
		harness_want_hidden(h);
		memset(h->b->hidden, 0xff, sizeof(float) * h->b->n_hidden * h->b->hidden_stride);
		harness_step(h);
		for (uint32_t i = 0; i < n; i++)
			memcpy(out + (size_t)(at + i) * n_embd,
			       h->b->hidden + (size_t)(first + i) * h->b->hidden_stride, n_embd * sizeof(float));
	}
}

/* The rows of the vocabulary's matrix, as floats. */
static float *read_head(const struct harness *h, uint32_t n_vocab, uint32_t n_embd)
{
	float *w = malloc((size_t)n_vocab * n_embd * sizeof(*w));
	const struct tensor *t = weights_find(h->w, "output.weight");

	t = t ? t : weights_find(h->w, "token_embd.weight");
	assert_non_null(t);
	for (uint32_t i = 0; i < n_vocab; i++)
		quant_dequantize_row(t->type, w + (size_t)i * n_embd, t->part[0].data, i, n_embd);
	return w;
}

static void to_logits(float *y, const float *x, const float *w, const struct hparams *hp)
{
	for (uint32_t v = 0; v < hp->n_vocab; v++) {
		double sum = 0;

		for (uint32_t i = 0; i < hp->n_embd; i++)
			sum += (double)w[(size_t)v * hp->n_embd + i] * (double)x[i];
		sum *= (double)hp->logit_scale;
		y[v] = (float)(hp->logit_cap != 0 ? (double)hp->logit_cap * tanh(sum / (double)hp->logit_cap) : sum);
	}
}

static void check(const char *path, const struct golden *g)
{
	float *x = calloc((size_t)g->n_tok * EMBD_MAX, sizeof(*x)), *w,
	      *y = calloc((size_t)g->n_tok * g->n_vocab, sizeof(*y));
	const struct hparams *hp;
	struct harness h;
	double d;

	harness_open_as(&h, path, &(struct harness_options){ .isa = ISA_MAX, .n_thread = 2, .kv_type = KVQ_F32 });
	hp = model_hparams(h.m);
	assert_true(hp->n_embd <= EMBD_MAX);
	hidden_of(&h, x, g, g->n_tok, 0);
	w = read_head(&h, hp->n_vocab, hp->n_embd);
	for (uint32_t i = 0; i < g->n_tok; i++)
		to_logits(y + (size_t)i * g->n_vocab, x + (size_t)i * hp->n_embd, w, hp);
	d = distance(y, g->logits, (size_t)g->n_tok * g->n_vocab);
	if (!(d <= FROM_EXACT))
		fail_msg("%s: %.2e of the logit range", path, d);
	harness_close(&h);
	free(x);
	free(y);
	free(w);
}

static void golden_of(struct golden *g, const char *path)
{
	const char *base = strstr(path, GOLDEN) + strlen(GOLDEN);
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	golden_read(g, name);
}

static void the_references_agree(void **state)
{
	glob_t files;

	(void)state;
	assert_int_equal(glob(GOLDEN "arch/*.gguf", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct golden g;

		golden_of(&g, files.gl_pathv[i]);
		check(files.gl_pathv[i], &g);
		free(g.logits);
	}
	print_message("%zu models\n", files.gl_pathc);
	globfree(&files);
}

/* Of a pass each, and of both ways in which it is added to x: at once, and row by row. */
static const char *const passes[] = { "arch/llama", "arch/gemma4",   "arch/cohere2x",
				      "arch/rwkv7", "arch/falconh1", "arch/mixtral" };

static void no_bit_depends_on_the_way(void **state)
{
	static const uint32_t chunk[] = { 1, 7, 32 };
	static float want[N_TOK_MAX * EMBD_MAX], got[N_TOK_MAX * EMBD_MAX];

	(void)state;
	for (size_t k = 0; k < sizeof(passes) / sizeof(passes[0]); k++) {
		char path[96];
		struct golden g;

		snprintf(path, sizeof(path), GOLDEN "%s.gguf", passes[k]);
		golden_of(&g, path);
		for (int i = 0; i < 6; i++) {
			struct harness h;

			harness_open_as(&h, path,
					&(struct harness_options){ .isa = i ? ISA_MAX : ISA_REF,
								   .n_thread = i ? 1 + i % 3 + i / 3 : 1,
								   .n_node = 1 + i / 3 });
			for (int c = 0; c < 3; c++) {
				size_t n = (size_t)g.n_tok * model_hparams(h.m)->n_embd;

				hidden_of(&h, i + c ? got : want, &g, chunk[c], i || c ? (uint32_t)(i + c) * 2 % 7 : 0);
				if (i + c && memcmp(want, got, n * sizeof(*got)))
					fail_msg("%s: way %d, chunk %u", passes[k], i, chunk[c]);
			}
			harness_close(&h);
		}
		free(g.logits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_references_agree),
					    cmocka_unit_test(no_bit_depends_on_the_way) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
