/* `gyre bench text`: speed of a model's tokenizer on a text, or of its chat template, on one thread, as the daemon's text helper does it. */
#include "tools/tool.h"

#include "daemon/text/chat_gguf.h"
#include "daemon/prompt/messages.h"
#include "daemon/text/chat.h"
#include "daemon/text/vocab_gguf.h"
#include "daemon/gguf/gguf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHAT_BYTES 131072u /* of the messages: a context of 8192 takes as many */

struct bench_file {
	struct gguf *g;
	struct vocab *vocab;
	struct chat *chat;
};

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
	struct vocab_scratch *scratch = vocab_scratch_new(n * VOCAB_GROWTH);
	uint32_t *id = malloc(VOCAB_ID_MAX(n) * sizeof(*id));
	double *x = calloc(a->n_repeat, sizeof(*x));
	int r = scratch && id && x ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < a->n_repeat && r >= 0; i++) {
		double begin = now_s();

		r = vocab_tokenize(v, scratch, text, n, true, false, id, VOCAB_ID_MAX(n));
		x[i] = now_s() - begin;
	}
	r = r < 0 ? fail(TOOL_FAILED, "%s", link_explain(NULL, r)) : print_figures(a, n, r, median(x, a->n_repeat));
	vocab_scratch_free(scratch);
	free(id);
	free(x);
	return r;
}

/* A chat: a rendering, and its tokens. */
struct chat_bench {
	struct chat_scratch *scratch;
	struct vocab_scratch *tokens;
	uint32_t *id;
	double *render_s, *tokenize_s; /* [n_repeat] */
	struct chat_prompt prompt;
	int n_message, n_id;
	char why[256];
};

static int bench_once(struct chat_bench *b, const struct bench_file *f, const struct chat_message *m,
		      struct text_span variables, uint32_t i)
{
	double begin = now_s(), middle;
	int r = chat_render(f->chat, b->scratch, m, (size_t)b->n_message, variables, &b->prompt, b->why,
			    sizeof(b->why));

	middle = now_s();
	if (r == 0)
		r = b->n_id = chat_tokenize(&b->prompt, f->vocab, b->tokens, true, false, b->id,
					    CHAT_OUTPUT_BYTES(CHAT_BYTES));
	b->render_s[i] = middle - begin;
	b->tokenize_s[i] = now_s() - middle;
	return r;
}

static int print_chat(const struct args *a, struct chat_bench *b)
{
	double render = median(b->render_s, a->n_repeat) * 1e6, tokenize = median(b->tokenize_s, a->n_repeat) * 1e6;

	if (a->json)
		return print_json(json_pack("{s:i,s:I,s:i,s:f,s:f}", "messages", b->n_message, "bytes",
					    (json_int_t)b->prompt.n, "tokens", b->n_id, "render_us", render,
					    "tokenize_us", tokenize));
	printf("%d messages, %zu bytes, %d tokens: rendered in %.1f us, tokenized in %.1f us (one thread, median of "
	       "%u)\n",
	       b->n_message, b->prompt.n, b->n_id, render, tokenize, a->n_repeat);
	return TOOL_OK;
}

static int measure_chat(const struct args *a, const struct bench_file *f, const struct gyre_chat *c)
{
	static struct chat_message message[GYRE_MESSAGE_MAX];
	struct chat_bench b = { .scratch = chat_scratch_new(f->chat, CHAT_BYTES),
				.tokens = vocab_scratch_new(CHAT_OUTPUT_BYTES(CHAT_BYTES)),
				.id = malloc(CHAT_OUTPUT_BYTES(CHAT_BYTES) * sizeof(uint32_t)),
				.render_s = calloc(a->n_repeat, sizeof(double)),
				.tokenize_s = calloc(a->n_repeat, sizeof(double)) };
	struct text_span variables;
	int r = messages_split(c->data, c->n, message, &variables, b.why, sizeof(b.why));

	b.n_message = r;
	if (!b.scratch || !b.tokens || !b.id || !b.render_s || !b.tokenize_s)
		r = -ENOMEM;
	for (uint32_t i = 0; i < a->n_repeat && r >= 0; i++)
		r = bench_once(&b, f, message, variables, i);
	r = r < 0 ? fail(TOOL_FAILED, "%s", *b.why ? b.why : link_explain(NULL, r)) : print_chat(a, &b);
	chat_scratch_free(b.scratch);
	vocab_scratch_free(b.tokens);
	free(b.id);
	free(b.render_s);
	free(b.tokenize_s);
	return r;
}

static int open_file(struct bench_file *f, const struct args *a)
{
	struct error e = { "" };
	char why[256] = "";

	if (gguf_open_metadata(&f->g, a->model, &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	if (vocab_from_gguf(&f->vocab, f->g, why, sizeof(why)) < 0)
		return fail(TOOL_FAILED, "%s: %s", a->model, why);
	if (a->messages && chat_from_gguf(&f->chat, f->g, f->vocab, a->chat_template, a->chat_date, &e) != CHAT_MADE)
		return fail(TOOL_FAILED, "%s", e.text);
	return TOOL_OK;
}

static int bench_text(const struct args *a, const struct bench_file *f)
{
	FILE *in = fopen(a->word[0], "r");
	size_t n = 0;
	char *text = in ? read_all(in, &n) : NULL;
	int code = text ? measure(a, f->vocab, text, n)
			: fail(TOOL_FAILED, "cannot read '%s': %s", a->word[0], strerror(errno));

	if (in)
		fclose(in);
	free(text);
	return code;
}

static int bench_chat(const struct args *a, const struct bench_file *f)
{
	struct gyre_chat c;
	int code = messages_make(a, NULL, 0, &c);

	if (code == TOOL_OK)
		code = measure_chat(a, f, &c);
	free(c.data);
	return code;
}

int bench_text_main(const struct args *given)
{
	struct bench_file f = { 0 };
	struct args a = *given;
	int code;

	if (!a.model)
		return fail(TOOL_USAGE, "bench text needs -m FILE.gguf");
	if (!a.n_word == !a.messages)
		return fail(TOOL_USAGE, "bench text needs a FILE of text, or --messages");
	a.n_repeat = a.n_repeat ? a.n_repeat : 5;
	code = open_file(&f, &a);
	if (code == TOOL_OK)
		code = a.messages ? bench_chat(&a, &f) : bench_text(&a, &f);
	chat_free(f.chat);
	vocab_free(f.vocab);
	gguf_close(f.g);
	return code;
}
