/*
 * wordwrap, as Python's textwrap cuts words. Of a paragraph each line is a stretch of its text, so that marks go along.
 */
#include "daemon/jinja/rows.h"
#include "daemon/jinja/text.h"
#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

struct wrap {
	struct jinja_scratch *s;
	const struct jinja_value *line; /* the paragraph */
	uint32_t *c, *byte;             /* [n] its characters; [n + 1] where they begin */
	uint32_t n, at, end;            /* the chunk that comes next is [at, end); at == n: none does */
	uint32_t dash_end;              /* of the last run of dashes that was looked at */
	int64_t width;
	bool breaks_words, breaks_hyphens;
};

static bool is_white(uint32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(uint32_t c)
{
	return c == '_' || jinja_is_alpha(c) || jinja_is_numeric(c);
}

static bool is_letter(const struct wrap *w, uint32_t i)
{
	return i < w->n && is_word(w->c[i]) && !jinja_is_decimal(w->c[i]);
}

/* What a dash of two or more may stand behind. */
static bool is_punct(uint32_t c)
{
	return is_word(c) || (c && c < 0x80 && strchr("!\"'&.,?", (int)c));
}

/* The end of two dashes or more at i, between words; 0: none. */
static uint32_t long_dash(struct wrap *w, uint32_t i)
{
	if (!i || i >= w->n || w->c[i] != '-' || !is_punct(w->c[i - 1]))
		return 0;
	if (w->dash_end <= i)
		for (w->dash_end = i; w->dash_end < w->n && w->c[w->dash_end] == '-' && jinja_step(w->s, 1);)
			w->dash_end++;
	return w->dash_end >= i + 2 && w->dash_end < w->n && is_word(w->c[w->dash_end]) ? w->dash_end : 0;
}

/* A hyphen at i between two letters each, or in the place of one of them. */
static bool is_hyphen(const struct wrap *w, uint32_t i)
{
	if (w->c[i] != '-' || i < 2 || !is_letter(w, i - 1))
		return false;
	if (!is_letter(w, i - 2) && !(w->c[i - 2] == '-' && i >= 3 && is_letter(w, i - 3)))
		return false;
	return is_letter(w, i + 1) &&
	       (is_letter(w, i + 2) || (i + 2 < w->n && w->c[i + 2] == '-' && is_letter(w, i + 3)));
}

/* The end of the chunk that begins at i < n: white space, a long dash, a word, or a part of one. */
static uint32_t chunk_end(struct wrap *w, uint32_t i)
{
	bool white = is_white(w->c[i]);
	uint32_t end = white || !w->breaks_hyphens ? 0 : long_dash(w, i);

	while (!end && ++i < w->n && is_white(w->c[i]) == white && jinja_step(w->s, 1)) {
		if (white || !w->breaks_hyphens)
			continue;
		if (is_hyphen(w, i))
			return i + 1;
		if (long_dash(w, i))
			return i;
	}
	return end ? end : i;
}

static void advance(struct wrap *w)
{
	w->at = w->end;
	w->end = w->at < w->n ? chunk_end(w, w->at) : w->n;
}

static bool is_blank(const struct wrap *w, uint32_t from, uint32_t to)
{
	while (from < to && jinja_is_space(w->c[from]))
		from++;
	return from == to;
}

/* Where a chunk that fits no line is cut: `room` characters, or behind the last hyphen in them. */
static uint32_t cut(const struct wrap *w, uint32_t room)
{
	uint32_t hyphen = w->at + room, first = w->at;

	if (!w->breaks_hyphens)
		return w->at + room;
	while (hyphen > w->at && w->c[hyphen - 1] != '-')
		hyphen--;
	while (first + 1 < hyphen && w->c[first] == '-')
		first++;
	return hyphen > w->at + 1 && w->c[first] != '-' ? hyphen : w->at + room;
}

/* Takes chunks for a line: its end. last: where the last of them begins. */
static uint32_t take_line(struct wrap *w, uint32_t *last)
{
	uint32_t from = w->at, room = (uint32_t)w->width;

	for (*last = from; w->at < w->n && w->end - w->at <= room && jinja_step(w->s, 1); advance(w)) {
		room -= w->end - w->at;
		*last = w->at;
	}
	if (w->at < w->n && w->end - w->at > (uint32_t)w->width && w->breaks_words) {
		*last = w->at;
		w->at = cut(w, room);
		jinja_step(w->s, 1 + (w->at - *last) / 8);
	} else if (w->at < w->n && w->at == from) {
		advance(w);
	}
	return w->at;
}

static void put_paragraph(struct wrap *w, struct jinja_build *b, const struct jinja_value *newline)
{
	bool first = true;

	w->dash_end = w->end = 0;
	for (advance(w); w->at < w->n && !jinja_failed(w->s);) {
		uint32_t from, to, last;

		if (!first && is_blank(w, w->at, w->end))
			advance(w);
		from = w->at;
		to = take_line(w, &last);
		if (is_blank(w, last, to))
			to = last;
		if (to == from)
			continue;
		if (!first)
			jinja_add_string(b, newline);
		jinja_add_part(b, w->line, w->byte[from], w->byte[to]);
		first = false;
	}
}

static bool read_paragraph(struct wrap *w, const struct jinja_value *line)
{
	size_t len;

	w->line = line;
	w->n = 0;
	w->c = jinja_alloc(w->s, (line->n + 1) * sizeof(*w->c));
	w->byte = jinja_alloc(w->s, (line->n + 1) * sizeof(*w->byte));
	if (!w->c || !w->byte)
		return false;
	for (size_t i = 0; i < line->n; i += len, w->n++) {
		w->c[w->n] = jinja_utf8_get(line->s.p + i, line->n - i, &len);
		w->byte[w->n] = (uint32_t)i;
	}
	w->byte[w->n] = line->n;
	return jinja_step(w->s, line->n / 8);
}

static struct jinja_value *filter_wordwrap(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	static const struct jinja_value usual = { .kind = JINJA_STRING, .n = 1, .s = { "\n", NULL } };
	struct wrap w = { .s = s,
			  .width = jinja_arg_int(s, a->bound[0], 79),
			  .breaks_words = jinja_arg_true(a->bound[1], true),
			  .breaks_hyphens = jinja_arg_true(a->bound[3], true) };
	bool has_newline = a->bound[2] && a->bound[2]->kind != JINJA_NONE;
	const struct jinja_value *newline = has_newline ? jinja_arg_text(s, a->bound[2]) : &usual;
	struct jinja_value *lines;
	struct jinja_build b;

	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	lines = v->kind == JINJA_STRING ? jinja_text_lines(s, v, false)
					: jinja_fail(s, "'%s' object has no attribute 'splitlines'", jinja_type(v));
	if (!lines || !newline || jinja_failed(s))
		return NULL;
	if (w.width <= 0 && lines->n)
		return jinja_fail(s, "invalid width %lld (must be > 0)", (long long)w.width);
	w.width = w.width < UINT32_MAX ? w.width : UINT32_MAX;
	jinja_build_init(&b, s, v->n);
	for (uint32_t i = 0; i < lines->n && jinja_step(s, 1); i++) {
		if (i)
			jinja_add_string(&b, newline);
		if (!read_paragraph(&w, lines->l.at[i]))
			return NULL;
		put_paragraph(&w, &b, newline);
	}
	return jinja_built(&b);
}

static struct jinja_value *filter_random(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)v;
	(void)a;
	return jinja_fail(s, "the filter 'random' is refused: text by chance has no place in a prompt");
}

static struct jinja_value *filter_urlize(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)v;
	(void)a;
	return jinja_fail(s, "the filter 'urlize' is refused: its links are for pages, not for prompts");
}

static const struct jinja_row row[] = {
	{ "wordwrap", filter_wordwrap, "width break_long_words wrapstring break_on_hyphens", 0, 0 },
	{ "random", filter_random, "", 0, ROW_REST | ROW_NAMED },
	{ "urlize", filter_urlize, "", 0, ROW_REST | ROW_NAMED },
};

const struct jinja_table jinja_filters_wrap = { row, sizeof(row) / sizeof(row[0]) };
