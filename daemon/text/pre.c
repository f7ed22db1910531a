/*
 * One row per pre-tokenizer. White space is spelled out: PCRE2's \s also takes U+180E, which the tokenizers these
 * vocabularies were trained with do not. A new model family is a new row.
 */
#include "daemon/text/pre.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define JIT_STACK_MAX (1u << 20) /* bytes; the patterns here repeat single characters and need none per character */

#define WS          "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define SPACE_TAIL  "[" WS "]+(?![^" WS "])|[" WS "]+"
#define CONTRACTION "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" WS "\\p{L}\\p{N}]+|" SPACE_TAIL
/* The family that tiktoken's cl100k began; digits is how numbers are cut. */
#define CL100K(digits)                                                                                 \
	CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^" WS "\\p{L}\\p{N}]+[\\r\\n]*|[" WS \
		    "]*[\\r\\n]+|" SPACE_TAIL
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K(suffix, digits)                                                                                    \
	"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" suffix \
	"|" digits "| ?[^" WS "\\p{L}\\p{N}]+[\\r\\n/]*|[" WS "]*[\\r\\n]+|" SPACE_TAIL

struct pre_row {
	const char *names; /* space-separated, with one at either end */
	const char *pattern[PRE_PATTERN_MAX];
	bool ignore_merges;
};

static const struct pre_row PRE[] = {
	{ " smollm starcoder refact command-r codeshell exaone minerva-7b ", { "\\p{N}", GPT2 }, false },
	{ " gpt-2 phi-2 mpt olmo jais trillion roberta-bpe gigachat ", { GPT2 }, false },
	{ " llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral lfm2 ", { CL100K("\\p{N}{1,3}") }, true },
	{ " dbrx smaug-bpe chatglm-bpe glm4 ", { CL100K("\\p{N}{1,3}") }, false },
	{ " qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan grok-2 ", { CL100K("\\p{N}") }, false },
	{ " gpt-4o llama4 ", { O200K("(?:" CONTRACTION ")?", "\\p{N}{1,3}") }, false },
	{ " tekken ", { O200K("", "\\p{N}") }, true },
	{ " deepseek-coder ",
	  { "[\\r\\n]", "[" WS "]?\\p{L}+", "[" WS "]?\\p{P}+",
	    "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+", "\\p{N}" },
	  false },
	{ " deepseek-v3 hunyuan-dense ",
	  { "\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+",
	    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
	    "?[\\p{P}\\p{S}]+[\\r\\n]*|[" WS "]*[\\r\\n]+|" SPACE_TAIL },
	  false },
	{ " falcon ", { "[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]" }, false },
	{ " default ", { "[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]" }, false },
};

static const struct pre_row *find_row(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; n && i < sizeof(PRE) / sizeof(PRE[0]); i++)
		for (const char *at = PRE[i].names; (at = strstr(at, name)); at++)
			if (at[-1] == ' ' && at[n] == ' ')
				return &PRE[i];
	return NULL;
}

int pre_init(struct pre *pre, const char *name)
{
	const struct pre_row *row = find_row(name);

	if (!row)
		return -EINVAL;
	pre->ignore_merges = row->ignore_merges;
	for (int i = 0; i < PRE_PATTERN_MAX && row->pattern[i]; i++) {
		int error;
		PCRE2_SIZE at;

		pre->code[i] = pcre2_compile((PCRE2_SPTR)row->pattern[i], PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
					     &error, &at, NULL);
		if (!pre->code[i])
			return -EINVAL;
		pcre2_jit_compile(pre->code[i], PCRE2_JIT_COMPLETE); /* without JIT it only is slower */
	}
	return 0;
}

void pre_deinit(struct pre *pre)
{
	for (int i = 0; i < PRE_PATTERN_MAX; i++)
		pcre2_code_free(pre->code[i]);
}

int pre_scratch_init(struct pre_scratch *s)
{
	s->match_data = pcre2_match_data_create(1, NULL);
	s->match_context = pcre2_match_context_create(NULL);
	s->jit_stack = pcre2_jit_stack_create(32u << 10, JIT_STACK_MAX, NULL);
	if (!s->match_data || !s->match_context)
		return -ENOMEM;
	if (s->jit_stack) /* NULL where PCRE2 has no JIT */
		pcre2_jit_stack_assign(s->match_context, NULL, s->jit_stack);
	return 0;
}

void pre_scratch_deinit(struct pre_scratch *s)
{
	pcre2_match_data_free(s->match_data);
	pcre2_match_context_free(s->match_context);
	pcre2_jit_stack_free(s->jit_stack);
}

struct splitter {
	const struct pre *pre;
	struct pre_scratch *s;
	pre_piece_fn *piece;
	void *arg;
};

/* Levels are at most PRE_PATTERN_MAX deep; match data is read out before descending, so one serves all levels. */
static int split_level(const struct splitter *sp, int level, const char *p, size_t n)
{
	size_t done = 0, at = 0;

	if (level == PRE_PATTERN_MAX || !sp->pre->code[level])
		return sp->piece(sp->arg, p, n);
	while (at < n) {
		int r = pcre2_match(sp->pre->code[level], (PCRE2_SPTR)p, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
				    sp->s->match_data, sp->s->match_context);
		size_t from, to;

		if (r == PCRE2_ERROR_NOMATCH)
			break;
		if (r < 0)
			return -EINVAL;
		from = pcre2_get_ovector_pointer(sp->s->match_data)[0];
		to = pcre2_get_ovector_pointer(sp->s->match_data)[1];
		if (from > done && (r = split_level(sp, level + 1, p + done, from - done)))
			return r;
		if ((r = split_level(sp, level + 1, p + from, to - from)))
			return r;
		at = done = to;
	}
	return done < n ? split_level(sp, level + 1, p + done, n - done) : 0;
}

int pre_split(const struct pre *pre, struct pre_scratch *s, const char *p, size_t n, pre_piece_fn *piece, void *arg)
{
	const struct splitter sp = { pre, s, piece, arg };

	return n ? split_level(&sp, 0, p, n) : 0;
}
