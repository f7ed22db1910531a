/* `gyre bench text`: speed of a model's tokenizer on a text, on one thread, as the daemon's text helper runs it. */
#include "tools/tool.h"

#include "daemon/text/text.h"
#include "daemon/vocab_gguf.h"
#include "daemon/weights/gguf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int print_figures(const struct args *a, size_t n, int n_token, double seconds)
{
	double mbps = (double)n / seconds / 1e6;

	if (a->json)
		return print_json(json_pack("{s:I,s:i,s:f,s:f}", "bytes", (json_int_t)n, "tokens", n_token, "seconds",
					    seconds, "mb_per_s", mbps));
	printf("%zu bytes, %d tokens: %.4f s, %.1f MB/s (one thread, median of %u)\n", n, n_token, seconds, mbps,
	       a->n_repeat);
	return TOOL_OK;
}

static int measure(const struct args *a, const struct vocab *v, const char *text, size_t n)
{
	struct vocab_scratch *scratch = vocab_scratch_new(n);
	uint32_t *id = malloc((n + 8) * sizeof(*id));
	double *x = calloc(a->n_repeat, sizeof(*x));
	int r = scratch && id && x ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < a->n_repeat && r >= 0; i++) {
		double begin = now_s();

		r = vocab_tokenize(v, scratch, text, n, true, false, id, n + 8);
		x[i] = now_s() - begin;
	}
	r = r < 0 ? fail(TOOL_FAILED, "%s", link_explain(NULL, r)) : print_figures(a, n, r, median(x, a->n_repeat));
	vocab_scratch_free(scratch);
	free(id);
	free(x);
	return r;
}

int bench_text_main(const struct args *given)
{
	struct args a = *given;
	struct vocab *v = NULL;
	struct gguf *g = NULL;
	struct error e = { "" };
	char why[256] = "";
	FILE *f;
	char *text;
	size_t n;
	int code;

	if (!a.model)
		return fail(TOOL_USAGE, "bench text needs -m FILE.gguf");
	a.n_repeat = a.n_repeat ? a.n_repeat : 5;
	f = fopen(a.word[0], "r");
	text = f ? read_all(f, &n) : NULL;
	if (!text)
		code = fail(TOOL_FAILED, "cannot read '%s': %s", a.word[0], strerror(errno));
	else if (gguf_open(&g, a.model, &e) < 0)
		code = fail(TOOL_FAILED, "%s", e.text);
	else if (vocab_from_gguf(&v, g, why, sizeof(why)) < 0)
		code = fail(TOOL_FAILED, "%s: %s", a.model, why);
	else
		code = measure(&a, v, text, n);
	if (f)
		fclose(f);
	vocab_free(v);
	gguf_close(g);
	free(text);
	return code;
}
