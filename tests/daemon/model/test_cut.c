/*
 * Why: converters agree on what a model computes and not on how many tensors it is in. The same weights must give the same bits in either
 * form, divided or not; what gyre knows and does without must change none; and what is left of a form that it does not know is refused,
 * not run without.
 */
#include "daemon/model/arch.h"
#include "tests/daemon/model/golden.h"
#include "tests/daemon/model/harness.h"
#include "tests/util/refile.h"
#include "tests/util/tiny.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#define N_TOK     24u
#define VOCAB_MAX 512u
#define MODEL_MAX 128

/* Those of q, k and v are the first; where q has its gate within, no converter makes them one. */
#define N_JOIN_QKV 2

static const struct refile_join joins[] = {
	{ "attn_qkv.weight", { "attn_q.weight", "attn_k.weight", "attn_v.weight" } },
	{ "attn_qkv.bias", { "attn_q.bias", "attn_k.bias", "attn_v.bias" } },
	{ "ffn_gate_up_exps.weight", { "ffn_gate_exps.weight", "ffn_up_exps.weight" } },
};

#define N_JOIN (sizeof(joins) / sizeof(joins[0]))

static char path[] = "/var/tmp/gyre-cut-XXXXXX";

static void logits(float *out, const char *file, int n_node)
{
	struct harness_options o = { .isa = ISA_MAX, .n_thread = 2, .n_node = n_node };
	int32_t token[N_TOK];
	struct harness h;

	harness_open_as(&h, file, &o);
	assert_true(model_hparams(h.m)->n_vocab <= VOCAB_MAX);
	for (uint32_t i = 0; i < N_TOK; i++)
		token[i] = (int32_t)(i * 37 % model_hparams(h.m)->n_vocab);
	harness_logits(&h, out, token, N_TOK, N_TOK, 0);
	harness_close(&h);
}

/* Files whose tensors are other ones give the same bits. */
static int same(const char *file, const struct refile *r)
{
	static float want[N_TOK * VOCAB_MAX], got[N_TOK * VOCAB_MAX];
	int n = refile_write(path, file, r);

	assert_true(n >= 0);
	for (int n_node = 1; n_node <= 2; n_node++) {
		memset(want, 0, sizeof(want));
		memset(got, 0, sizeof(got));
		logits(want, file, n_node);
		logits(got, path, n_node);
		if (memcmp(want, got, sizeof(want)))
			fail_msg("%s, %d nodes: other logits", file, n_node);
	}
	return n;
}

static bool has_gate_in_q(const char *file)
{
	const struct arch *arch;
	struct hparams hp = { 0 };
	struct error e = { "" };
	struct gguf *g;

	assert_int_equal(gguf_open(&g, file, &e), 0);
	assert_int_equal(arch_read(&arch, &hp, g, &e), 0);
	gguf_close(g);
	return arch->has_q_gate;
}

static void fused_is_the_same(void **state)
{
	uint32_t first = has_gate_in_q(*state) ? N_JOIN_QKV : 0;

	print_message("%d tensors of several\n",
		      same(*state, &(struct refile){ joins + first, N_JOIN - first, 0, { NULL } }));
}

static void further_blocks_and_towers_change_nothing(void **state)
{
	same(*state, &(struct refile){ .n_nextn = 2, .extra = { "v.blk.0.attn_q.bias", "mm.0.bias" } });
}

static void refuse(const struct tiny *o, const char *text)
{
	struct error e = { "" };
	struct weights *w = NULL;

	assert_int_equal(tiny_write(path, o), 0);
	assert_int_equal(weights_load(&w, path, &(struct weights_options){ .plan = model_plan, .n_thread = 1 }, &e),
			 -EINVAL);
	if (!strstr(e.text, text))
		fail_msg("'%s' lacks '%s'", e.text, text);
}

static void what_does_not_add_up_is_refused_by_name(void **state)
{
	struct tiny o = tiny_served;
	uint32_t n_nextn = o.n_layer;
	struct tiny_kv kv = { ".nextn_predict_layers", 4, &n_nextn, 4 };

	(void)state;
	o.extra = "blk.1.attn_qkv.weight"; /* a vector of 16 */
	refuse(&o, "tensor blk.1.attn_qkv.weight has 16 rows");
	o.extra = NULL;
	o.kv = &kv;
	o.n_kv = 1;
	refuse(&o, "llama.nextn_predict_layers");
	n_nextn = UINT32_MAX;
	refuse(&o, "llama.nextn_predict_layers");
}

/* A block that no key counts is none that is left out. */
static void a_block_too_many_is_refused(void **state)
{
	struct model_options opt = { .n_row_max = 8, .n_logit_max = 8, .n_thread = 1 };
	struct tiny o = tiny_served;
	struct weights *w = NULL;
	struct model *m = NULL;
	struct error e = { "" };
	struct kernels k;

	(void)state;
	o.extra = "blk.2.nextn.enorm.weight";
	kernels_select(&k, ISA_MAX);
	assert_int_equal(tiny_write(path, &o), 0);
	assert_int_equal(weights_load(&w, path, &(struct weights_options){ .plan = model_plan, .n_thread = 1 }, &e), 0);
	assert_int_equal(model_open(&m, w, &k, &opt, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, o.extra));
	weights_free(w);
}

int main(void)
{
	struct CMUnitTest tests[2 * MODEL_MAX + 2] = {
		cmocka_unit_test(what_does_not_add_up_is_refused_by_name),
		cmocka_unit_test(a_block_too_many_is_refused),
	};
	glob_t found = { 0 };
	size_t n = 2;
	int r;

	if (glob(GOLDEN "arch/*.gguf", 0, NULL, &found) || found.gl_pathc > MODEL_MAX) {
		fprintf(stderr, "no models, or more than %d, in " GOLDEN "arch: run the tests from the top folder\n",
			MODEL_MAX);
		return 1;
	}
	close(mkstemp(path));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *file = found.gl_pathv[i];

		tests[n++] = (struct CMUnitTest){ file, fused_is_the_same, NULL, NULL, file };
		tests[n++] = (struct CMUnitTest){ file, further_blocks_and_towers_change_nothing, NULL, NULL, file };
	}
	r = _cmocka_run_group_tests("cut", tests, n, NULL, NULL);
	unlink(path);
	globfree(&found);
	return r;
}
