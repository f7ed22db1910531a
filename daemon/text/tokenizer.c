#include "daemon/text/tokenizer.h"

#include "daemon/text/pre.h"

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

struct vocab_defaults vocab_defaults(const char *model, const char *pre)
{
	struct vocab_defaults d = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 };
	const struct tokenizer *t = tokenizer_find(model);
	const struct pre_row *row = t == &tokenizer_bpe ? pre_find(pre) : NULL;

	if (t)
		d = t->defaults;
	if (row)
		d.add_bos = row->add_bos;
	if (row)
		d.strips_before = row->strips_before;
	return d;
}
