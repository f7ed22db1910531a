/*
 * Patterns are compiled once for a vocabulary and matched by each thread with memory of its own; the rows are in pre_table.c.
 */
#include "daemon/text/pre.h"

#include "daemon/util/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define JIT_STACK_MAX (1u << 20) /* bytes; the patterns here repeat single characters and need none per character */

int pre_init(struct pre *pre, const char *name)
{
	const struct pre_row *row = pre_find(name);

	if (!row)
		return -EINVAL;
	pre->row = row;
	pre->is_nfc = pre_is_nfc(row, name);
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

static int split_level(const struct splitter *sp, int level, const char *p, size_t n);

/* Hands the bytes from *done to `to` to the next level; *done is `to` then. */
static int pass_on(const struct splitter *sp, int level, const char *p, size_t *done, size_t to)
{
	size_t from = *done;

	*done = to;
	return to > from ? split_level(sp, level + 1, p + from, to - from) : 0;
}

/* 12345 -> 12 345: cuts in front of threes that are counted from the end. */
static int cut_threes(const struct splitter *sp, int level, const char *p, size_t *done, size_t from, size_t to)
{
	size_t n_char = 0;
	int r = 0;

	for (size_t at = from; at < to; at += utf8_char_len(p + at, to - at))
		n_char++;
	for (size_t at = from; !r && at < to; at += utf8_char_len(p + at, to - at))
		if (n_char-- % 3 == 0)
			r = pass_on(sp, level, p, done, at);
	return r;
}

/* Levels are at most PRE_PATTERN_MAX deep; match data is read out before descending, so one serves all levels. */
static int split_level(const struct splitter *sp, int level, const char *p, size_t n)
{
	const struct pre_row *row = sp->pre->row;
	bool has_threes = level + 1 == row->by_three, is_isolated = !has_threes || !row->only_threes;
	size_t done = 0;

	if (level == PRE_PATTERN_MAX || !sp->pre->code[level])
		return sp->piece(sp->arg, p, n);
	for (size_t at = 0; at < n;) {
		int r = pcre2_match(sp->pre->code[level], (PCRE2_SPTR)p, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
				    sp->s->match_data, sp->s->match_context);
		size_t from;

		if (r == PCRE2_ERROR_NOMATCH)
			break;
		if (r < 0)
			return -EINVAL;
		from = pcre2_get_ovector_pointer(sp->s->match_data)[0];
		at = pcre2_get_ovector_pointer(sp->s->match_data)[1];
		if ((is_isolated && (r = pass_on(sp, level, p, &done, from))) ||
		    (has_threes && (r = cut_threes(sp, level, p, &done, from, at))) ||
		    (is_isolated && (r = pass_on(sp, level, p, &done, at))))
			return r;
	}
	return pass_on(sp, level, p, &done, n);
}

int pre_split(const struct pre *pre, struct pre_scratch *s, const char *p, size_t n, pre_piece_fn *piece, void *arg)
{
	const struct splitter sp = { pre, s, piece, arg };

	return n ? split_level(&sp, 0, p, n) : 0;
}
