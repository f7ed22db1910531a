/*
 * Facts about added tokens that a model file leaves out: marks that end a generation or shape a prompt are known by their text,
 * whatever type a converter gave them, and some tokens take the white space beside them.
 */
#include "daemon/text/vocab.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum mark {
	MARK_END = 1, /* ends a generation */
	MARK_CONTROL, /* shapes a prompt */
	MARK_SHOWN,   /* shapes an answer, and is part of it */
	MARK_RETURN,  /* ends, and tells that <|end|> does not: only a message of several */
	MARK_CALL,
	MARK_FLUSH,
	MARK_MESSAGE,  /* <|end|> */
	MARK_RESPONSE, /* ends, and tells that </s> is plain text */
	MARK_SENTENCE, /* </s> */
};

static const struct {
	const char *text;
	enum mark mark;
} MARK[] = {
	{ "<|im_end|>", MARK_END },
	{ "<|eot_id|>", MARK_END },
	{ "<|eom_id|>", MARK_END },
	{ "<|eot|>", MARK_END },
	{ "<|endoftext|>", MARK_END },
	{ "<|end_of_text|>", MARK_END },
	{ "<end_of_turn>", MARK_END },
	{ "<|END_OF_TURN_TOKEN|>", MARK_END },
	{ "<end_of_utterance>", MARK_END },
	{ "<EOT>", MARK_END },
	{ "_<EOT>", MARK_END },
	{ "[EOT]", MARK_END },
	{ "[EOS]", MARK_END },
	{ "<eos>", MARK_END },
	{ "<turn|>", MARK_END },
	{ "[e~[", MARK_END },
	{ "<｜end▁of▁sentence｜>", MARK_END },
	{ "<|end▁of▁sentence|>", MARK_END },
	{ "<|return|>", MARK_RETURN },
	{ "<|call|>", MARK_CALL },
	{ "<|calls|>", MARK_CALL },
	{ "<|flush|>", MARK_FLUSH },
	{ "<|end|>", MARK_MESSAGE },
	{ "<|tool_response>", MARK_RESPONSE },
	{ "</s>", MARK_SENTENCE },
	/* Filling in the middle: behind padding, a repository or a file another text begins. */
	{ "<|fim_pad|>", MARK_END },
	{ "<fim-pad>", MARK_END },
	{ "<fim_pad>", MARK_END },
	{ "<PAD>", MARK_END },
	{ "[PAD]", MARK_END },
	{ "<|fim_repo|>", MARK_END },
	{ "<|repo_name|>", MARK_END },
	{ "<fim-repo>", MARK_END },
	{ "<REPO>", MARK_END },
	{ "<reponame>", MARK_END },
	{ "<|file_sep|>", MARK_END },
	{ "<|fim_prefix|>", MARK_CONTROL },
	{ "<fim-prefix>", MARK_CONTROL },
	{ "<fim_prefix>", MARK_CONTROL },
	{ "<｜fim▁begin｜>", MARK_CONTROL },
	{ "<PRE>", MARK_CONTROL },
	{ "▁<PRE>", MARK_CONTROL },
	{ "<|code_prefix|>", MARK_CONTROL },
	{ "<|prefix|>", MARK_CONTROL },
	{ "<|fim_suffix|>", MARK_CONTROL },
	{ "<fim-suffix>", MARK_CONTROL },
	{ "<fim_suffix>", MARK_CONTROL },
	{ "<｜fim▁hole｜>", MARK_CONTROL },
	{ "<SUF>", MARK_CONTROL },
	{ "▁<SUF>", MARK_CONTROL },
	{ "<|code_suffix|>", MARK_CONTROL },
	{ "<|suffix|>", MARK_CONTROL },
	{ "<|fim_middle|>", MARK_CONTROL },
	{ "<fim-middle>", MARK_CONTROL },
	{ "<fim_middle>", MARK_CONTROL },
	{ "<｜fim▁end｜>", MARK_CONTROL },
	{ "<MID>", MARK_CONTROL },
	{ "▁<MID>", MARK_CONTROL },
	{ "<|code_middle|>", MARK_CONTROL },
	{ "<|middle|>", MARK_CONTROL },
	{ "<|channel|>", MARK_SHOWN },
	{ "<|message|>", MARK_SHOWN },
	{ "<|start|>", MARK_SHOWN },
	{ "<|constrain|>", MARK_SHOWN },
};

#define MARK_MAX 64 /* bytes; the longest has 24 */
#define N_MARK   (sizeof(MARK) / sizeof(MARK[0]))

/* What marks begin with: nearly no token is compared with them all. */
struct beginnings {
	bool first[256], second[256];
};

static bool is_text(struct text_span t, const char *z)
{
	return t.n == strlen(z) && !memcmp(t.p, z, t.n);
}

static void find_beginnings(struct beginnings *b)
{
	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < N_MARK; i++) {
		b->first[(unsigned char)MARK[i].text[0]] = true;
		b->second[(unsigned char)MARK[i].text[1]] = true;
	}
}

/* 0: none */
static enum mark mark_of(const struct beginnings *b, struct text_span t)
{
	if (t.n < 2 || !b->first[(unsigned char)t.p[0]] || !b->second[(unsigned char)t.p[1]])
		return 0;
	for (size_t i = 0; i < N_MARK; i++)
		if (is_text(t, MARK[i].text))
			return MARK[i].mark;
	return 0;
}

static bool has(unsigned marks, enum mark mark)
{
	return marks & 1u << mark;
}

/* Which marks there are, as bits. */
static unsigned find_marks(const struct beginnings *b, const struct vocab_source *src)
{
	unsigned marks = 0;

	for (uint32_t i = 0; i < src->n_token; i++)
		marks |= 1u << mark_of(b, src->token[i]);
	return marks;
}

/* How the other marks of the vocabulary have it. */
static enum mark resolve(enum mark mark, unsigned marks)
{
	bool is_channelled = has(marks, MARK_CALL) && (has(marks, MARK_RETURN) || has(marks, MARK_FLUSH));

	if (mark == MARK_MESSAGE)
		return is_channelled ? MARK_SHOWN : MARK_END;
	if (mark == MARK_SENTENCE)
		return has(marks, MARK_RESPONSE) ? 0 : MARK_END;
	return mark == MARK_RETURN || mark == MARK_CALL || mark == MARK_FLUSH || mark == MARK_RESPONSE ? MARK_END
												       : mark;
}

void special_marks(struct vocab *v, const struct vocab_source *src)
{
	struct beginnings b;
	unsigned marks, n_odd = 0;
	uint32_t odd = 0;

	find_beginnings(&b);
	marks = find_marks(&b, src);
	for (uint32_t i = 0; i < src->n_token; i++) {
		enum mark mark = resolve(mark_of(&b, src->token[i]), marks);

		if (!mark)
			continue;
		v->is_end[i] = mark == MARK_END;
		if (v->type[i] != TOKEN_CONTROL && v->type[i] != TOKEN_USER && !n_odd++)
			odd = i;
		v->type[i] = mark == MARK_SHOWN ? TOKEN_SHOWN : TOKEN_CONTROL;
	}
	if (n_odd)
		special_warn(v,
			     "token %u \"%.*s\"%s looks like a control token but has another type, and is taken as one",
			     odd, (int)(src->token[odd].n < MARK_MAX ? src->token[odd].n : MARK_MAX), src->token[odd].p,
			     n_odd > 1 ? " and others" : "");
}

void special_strip(struct vocab *v, const struct vocab_source *src)
{
	static const char *const keeps[] = { "<unk>", "<s>", "<|endoftext|>" };

	for (uint32_t i = 0; i < v->n_added; i++) {
		struct text_span t = v->token[v->added[i]];
		bool is_kept = false;

		for (size_t k = 0; k < sizeof(keeps) / sizeof(keeps[0]); k++)
			is_kept = is_kept || is_text(t, keeps[k]);
		if (src->strips_after && !is_kept)
			v->strip[v->added[i]] |= STRIP_AFTER;
		if (src->strips_before && is_text(t, src->strips_before))
			v->strip[v->added[i]] |= STRIP_BEFORE;
	}
}

void special_warn(struct vocab *v, const char *format, ...)
{
	size_t at = strlen(v->warning), n_gap = at ? 2 : 0, room = sizeof(v->warning) - at;
	char line[sizeof(v->warning)];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n + n_gap < room)
		snprintf(v->warning + at, room, "%s%s", n_gap ? "; " : "", line);
}
