/*
 * Any vocabulary of any tokenizer, then any text for it. The input, each number a byte: the tokenizer; flags; how many tokens, of
 * each its type, its score and its length, then its spelling; how many merges, each its length and its text; two bytes of
 * length and that much of a character map; the text. With the flag a token for every byte comes first. A vocabulary is refused
 * with a word, or reads the text: its ids name tokens, and where the tokenizer promises it, their bytes are the text.
 */
#include "daemon/text/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_OWN    64
#define TEXT_MAX (16u << 10)
#define ID_MAX   (TEXT_MAX * 12 + 16)

/* The lossless ones last. */
static const char *const MODEL[] = { "gpt2", "llama", "bert", "t5", "whitespace", "none", "rwkv", "plamo2", "gemma4" };
#define N_MODEL    (sizeof(MODEL) / sizeof(MODEL[0]))
#define N_LOSSLESS 3u

struct input {
	const uint8_t *p;
	size_t n;
};

static uint8_t take(struct input *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

static struct text_span take_span(struct input *in, size_t n)
{
	struct text_span t;

	n = n < in->n ? n : in->n;
	t = (struct text_span){ (const char *)in->p, (uint32_t)n };
	in->p += n;
	in->n -= n;
	return t;
}

/* Mostly ordinary ones. */
static float take_score(struct input *in)
{
	static const float odd[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0, -1000, 1e-40f };
	uint8_t b = take(in);

	return b < 8 ? odd[b] : -(float)b / 16;
}

static uint32_t add_bytes(struct text_span *token, int32_t *type, bool escaped)
{
	static char spell[2][256][8];

	for (unsigned b = 0; b < 256; b++) {
		char *z = spell[escaped][b];

		if (!*z)
			snprintf(z, sizeof(spell[0][0]), escaped ? "\\x%02x" : "<0x%02X>", b);
		token[b] = (struct text_span){ z, (uint32_t)strlen(z) };
		type[b] = escaped ? 1 : 6;
	}
	return 256;
}

static void read_text(const struct vocab *v, struct text_span text, bool lossless, uint8_t flags)
{
	static struct vocab_scratch *s;
	static uint32_t id[ID_MAX];
	size_t at = 0;
	int n_id;

	s = s ? s : vocab_scratch_new(TEXT_MAX * VOCAB_GROWTH);
	n_id = vocab_tokenize(v, s, text.p, text.n, flags & 2, flags & 4, id, ID_MAX);
	if (n_id < 0 && n_id != -EINVAL)
		abort();
	for (int i = 0; i < n_id; i++) {
		struct text_span t = vocab_token_bytes(v, id[i], false, true);

		if (id[i] >= vocab_size(v))
			abort();
		if (!lossless || flags & 2)
			continue;
		if (t.n > text.n - at || memcmp(text.p + at, t.p, t.n))
			abort();
		at += t.n;
	}
	if (lossless && !(flags & 2) && at != text.n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };
	struct text_span token[256 + N_OWN], merge[16], text;
	int32_t type[256 + N_OWN];
	float score[256 + N_OWN] = { 0 };
	uint8_t model = take(&in) % N_MODEL, flags = take(&in);
	bool lossless = model >= N_MODEL - N_LOSSLESS && flags & 1;
	struct vocab_source src = {
		.model = MODEL[model], .token = token, .type = type, .score = score, .merge = merge
	};
	struct vocab *v = NULL;
	char err[256] = "";
	int r;

	if (flags & 1)
		src.n_token = add_bytes(token, type, !strcmp(MODEL[model], "rwkv"));
	for (uint32_t i = take(&in) % N_OWN; i; i--, src.n_token++) {
		type[src.n_token] = take(&in) % 8;
		score[src.n_token] = take_score(&in);
		token[src.n_token] = take_span(&in, take(&in));
	}
	for (uint32_t i = take(&in) % 16; i; i--)
		merge[src.n_merge++] = take_span(&in, take(&in));
	src.charsmap = take_span(&in, take(&in) | take(&in) << 8);
	src.bos = src.eos = src.eot = src.pad = src.unk = -1;
	if (src.n_token > 2 && !lossless)
		src.bos = src.eos = src.unk = 2;
	src.add_bos = src.add_eos = true;
	src.add_space_prefix = flags & 8;
	src.collapse_space = flags & 16;
	src.lowercase = flags & 32;
	src.strip_accents = flags & 64;
	text = take_span(&in, TEXT_MAX);
	r = vocab_new(&v, &src, err, sizeof(err));
	if (r && (r != -EINVAL || !*err))
		abort();
	if (!r)
		read_text(v, text, lossless, flags);
	vocab_free(v);
	return 0;
}
