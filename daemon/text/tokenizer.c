#include "daemon/text/tokenizer.h"

#include "daemon/text/pre.h"

#include <stdio.h>
#include <string.h>

static const struct tokenizer *const TOKENIZER[] = {
	&tokenizer_bpe,   &tokenizer_spm,   &tokenizer_wordpiece, &tokenizer_unigram, &tokenizer_rwkv,
	&tokenizer_plamo, &tokenizer_gemma, &tokenizer_words,     &tokenizer_sarvam,  &tokenizer_dna,
};

#define N_TOKENIZER (sizeof(TOKENIZER) / sizeof(TOKENIZER[0]))

static bool is_listed(const char *names, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = names + 1; n && (at = strstr(at, name)); at++)
		if (at[-1] == ' ' && at[n] == ' ')
			return true;
	return false;
}

const struct tokenizer *tokenizer_find(const char *model, const char *pre)
{
	bool by_pre = model && pre && !strcmp(model, tokenizer_bpe.model);

	for (size_t i = 0; by_pre && i < N_TOKENIZER; i++)
		if (TOKENIZER[i]->pre && is_listed(TOKENIZER[i]->pre, pre))
			return TOKENIZER[i];
	for (size_t i = 0; model && i < N_TOKENIZER; i++)
		if (TOKENIZER[i]->model && !strcmp(TOKENIZER[i]->model, model))
			return TOKENIZER[i];
	return NULL;
}

char *tokenizer_names(char *out, size_t out_len)
{
	const char *name = NULL;
	size_t at = 0;

	out[0] = 0;
	for (size_t i = 0; i < N_TOKENIZER && at < out_len; i++) {
		if (!TOKENIZER[i]->model)
			continue;
		if (name)
			at += (size_t)snprintf(out + at, out_len - at, "%s%s", at ? ", " : "", name);
		name = TOKENIZER[i]->model;
	}
	if (at < out_len)
		snprintf(out + at, out_len - at, " or %s", name);
	return out;
}

struct tokenizer_defaults tokenizer_defaults(const char *model, const char *pre)
{
	struct tokenizer_defaults d = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 };
	const struct tokenizer *t = tokenizer_find(model, pre);
	const struct pre_row *row = t == &tokenizer_bpe ? pre_find(pre) : NULL;

	if (t)
		d = t->defaults;
	if (row)
		d.add_bos = row->add_bos;
	if (row)
		d.strips_before = row->strips_before;
	return d;
}
