#include "tests/util/tiny_vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTE   6
#define UNUSED 5

static struct text_span token[TINY_VOCAB_MAX];
static int32_t type[TINY_VOCAB_MAX];
static float score[TINY_VOCAB_MAX];
static char spelling[256][8];

/* GPT-2's stand-in: Latin-1 where it prints, then U+0100 and on. */
static void spell_stand_in(void)
{
	unsigned next = 0x100;

	for (unsigned b = 0; b < 256; b++) {
		unsigned c = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad) ? b : next++;

		memset(spelling[b], 0, sizeof(spelling[b]));
		spelling[b][0] = c < 0x80 ? (char)c : (char)(0xc0 | c >> 6);
		spelling[b][1] = c < 0x80 ? 0 : (char)(0x80 | (c & 0x3f));
	}
}

struct tiny_vocab tiny_vocab_start(const char *model)
{
	bool is_spm = !strcmp(model, "llama");
	struct tiny_vocab t = { .source = { .model = model,
					    .token = token,
					    .score = score,
					    .type = type,
					    .merge = token, /* none of them, but a list */
					    .bos = -1,
					    .eos = -1,
					    .eot = -1,
					    .eom = -1,
					    .unk = -1,
					    .pad = -1 } };

	spell_stand_in();
	for (unsigned b = 0; b < 256; b++) {
		if (is_spm)
			snprintf(spelling[b], sizeof(spelling[b]), "<0x%02X>", b);
		tiny_vocab_add(&t, spelling[b], is_spm ? BYTE : 1);
	}
	if (is_spm) {
		tiny_vocab_add(&t, "a", 1);
		tiny_vocab_add(&t, "b", 1);
	}
	return t;
}

uint32_t tiny_vocab_add(struct tiny_vocab *t, const char *text, int32_t kind)
{
	uint32_t i = t->source.n_token++;

	assert_true(i < TINY_VOCAB_MAX);
	token[i] = (struct text_span){ text, (uint32_t)strlen(text) };
	type[i] = kind;
	score[i] = 0;
	return i;
}

void tiny_vocab_drop_bytes(struct tiny_vocab *t)
{
	for (uint32_t i = 0; i < t->source.n_token; i++)
		if (type[i] == BYTE)
			type[i] = UNUSED;
}

int tiny_vocab_try(struct tiny_vocab *t)
{
	return vocab_new(&t->vocab, &t->source, t->err, sizeof(t->err));
}

void tiny_vocab_make(struct tiny_vocab *t)
{
	if (tiny_vocab_try(t))
		fail_msg("%s", t->err);
	t->scratch = vocab_scratch_new(256);
	assert_non_null(t->scratch);
}

void tiny_vocab_free(struct tiny_vocab *t)
{
	vocab_free(t->vocab);
	vocab_scratch_free(t->scratch);
}
