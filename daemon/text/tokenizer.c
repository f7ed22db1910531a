#include "daemon/text/tokenizer.h"

#include <stdio.h>
#include <string.h>

static const struct tokenizer *const TOKENIZER[] = { &tokenizer_bpe, &tokenizer_spm };

#define N_TOKENIZER (sizeof(TOKENIZER) / sizeof(TOKENIZER[0]))

const struct tokenizer *tokenizer_find(const char *model)
{
	for (size_t i = 0; model && i < N_TOKENIZER; i++)
		if (!strcmp(TOKENIZER[i]->model, model))
			return TOKENIZER[i];
	return NULL;
}

char *tokenizer_names(char *out, size_t out_len)
{
	size_t at = 0;

	out[0] = 0;
	for (size_t i = 0; i < N_TOKENIZER && at < out_len; i++)
		at += (size_t)snprintf(out + at, out_len - at, "%s%s", TOKENIZER[i]->model,
				       i + 2 < N_TOKENIZER    ? ", "
				       : i + 2 == N_TOKENIZER ? " or "
							      : "");
	return out;
}

const struct vocab_defaults *vocab_defaults(const char *model)
{
	static const struct vocab_defaults none = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 };
	const struct tokenizer *t = tokenizer_find(model);

	return t ? &t->defaults : &none;
}
