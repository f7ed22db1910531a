/*
 * pprint: repr() where it fits into 80 columns, else a line an item, as Python's pprint lays it out.
 */
#include "daemon/jinja/rows.h"
#include "daemon/jinja/text.h"
#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

#define COLUMNS 80

/* The columns around what is written: those to its left, and those that must be left behind it. */
struct place {
	int64_t indent, allowance;
	uint32_t level;
};

static bool put(struct jinja_build *b, const struct jinja_value *v, struct place at);

/* A group of groupby shows itself in its own way. */
static bool nests(const struct jinja_value *v)
{
	return v->kind == JINJA_DICT || v->kind == JINJA_LIST || (v->kind == JINJA_TUPLE && !(v->flags & JINJA_GROUP));
}

/* Python's order, and where there is none that of the types' names. */
static int by_key(const void *x, const void *y, void *arg)
{
	const struct jinja_pair *a = x, *b = y;
	struct jinja_scratch *s = arg;
	bool numbers = jinja_is_number(a->key) && jinja_is_number(b->key);

	if (numbers || (a->key->kind == b->key->kind && a->key->kind == JINJA_STRING))
		return jinja_compare(s, a->key, b->key, "<");
	return strcmp(jinja_type(a->key), jinja_type(b->key));
}

/* With its members in order, at every level. */
static struct jinja_value *in_order(struct jinja_scratch *s, const struct jinja_value *v)
{
	struct jinja_value *to;

	if (!v || !nests(v))
		return (struct jinja_value *)v;
	to = v->kind == JINJA_DICT ? jinja_dict(s) : jinja_sequence(s, v->kind, v->n);
	if (!to || !jinja_enter(s))
		return NULL;
	if (v->kind == JINJA_DICT) {
		struct jinja_pair *pair = jinja_alloc(s, v->n * sizeof(*pair));

		if (pair && v->n)
			memcpy(pair, v->d.at, v->n * sizeof(*pair));
		if (!pair || !jinja_sort(s, pair, v->n, sizeof(*pair), by_key))
			to = NULL;
		for (uint32_t i = 0; to && i < v->n && jinja_step(s, 1); i++)
			to = jinja_dict_put(s, to, pair[i].key, in_order(s, pair[i].value));
	}
	for (uint32_t i = 0; to && v->kind != JINJA_DICT && i < v->n && jinja_step(s, 1); i++)
		to = jinja_list_append(s, to, in_order(s, v->l.at[i]));
	jinja_leave(s);
	return jinja_failed(s) ? NULL : to;
}

static struct jinja_value *repr(struct jinja_scratch *s, const struct jinja_value *v)
{
	struct jinja_build b;

	jinja_build_init(&b, s, 0);
	jinja_add_repr(&b, v);
	return jinja_built(&b);
}

/* The end of the text behind `from` that is no blank, then of the blanks behind it. */
static size_t word_end(const struct jinja_value *v, size_t from)
{
	bool blank = false;
	size_t len;

	for (; from < v->n; from += len) {
		bool is = jinja_is_space(jinja_utf8_get(v->s.p + from, v->n - from, &len));

		if (blank && !is)
			break;
		blank = is;
	}
	return from;
}

/* A line of a string that is too long for its columns: cut behind blanks. */
static void put_words(struct jinja_scratch *s, struct jinja_value *chunks, const struct jinja_value *line,
		      struct place at, bool is_last)
{
	int64_t room = COLUMNS - at.indent;
	size_t from = 0;

	for (size_t word = 0, end; word < line->n && jinja_step(s, 1); word = end) {
		struct jinja_value *text;

		end = word_end(line, word);
		if (end == line->n && is_last)
			room -= at.allowance;
		text = repr(s, jinja_text_part(s, line, from, end));
		if (!text || jinja_length(s, text) <= room)
			continue;
		if (word > from)
			jinja_list_append(s, chunks, repr(s, jinja_text_part(s, line, from, word)));
		from = word;
	}
	if (from < line->n)
		jinja_list_append(s, chunks, repr(s, jinja_text_part(s, line, from, line->n)));
}

static void put_string(struct jinja_build *b, const struct jinja_value *v, struct place at)
{
	struct jinja_scratch *s = b->s;
	struct jinja_value *lines = jinja_text_lines(s, v, true), *chunks = jinja_list(s), *text = NULL;

	at.indent += at.level == 1;
	at.allowance += at.level == 1;
	for (uint32_t i = 0; lines && i < lines->n && jinja_step(s, 1); i++) {
		bool is_last = i + 1 == lines->n;

		text = repr(s, lines->l.at[i]);
		if (text && jinja_length(s, text) <= COLUMNS - at.indent - (is_last ? at.allowance : 0))
			jinja_list_append(s, chunks, text);
		else if (text)
			put_words(s, chunks, lines->l.at[i], at, is_last);
	}
	if (jinja_failed(s))
		return;
	if (chunks->n == 1) {
		jinja_add_string(b, text);
		return;
	}
	jinja_add_word(b, at.level == 1 ? "(" : "");
	for (uint32_t i = 0; i < chunks->n && jinja_step(s, 1); i++) {
		if (i)
			jinja_add_word(b, "\n");
		if (i)
			jinja_add_fill(b, ' ', (size_t)at.indent);
		jinja_add_string(b, chunks->l.at[i]);
	}
	jinja_add_word(b, at.level == 1 ? ")" : "");
}

/* The i-th item or member, and what parts it from the next. */
static void put_member(struct jinja_build *b, const struct jinja_value *v, uint32_t i, struct place at)
{
	bool is_last = i + 1 == v->n;
	struct place inner = { at.indent + 1, is_last ? at.allowance : 1, at.level };
	const struct jinja_value *item = v->kind == JINJA_DICT ? v->d.at[i].value : v->l.at[i];

	if (v->kind == JINJA_DICT) {
		struct jinja_value *key = repr(b->s, v->d.at[i].key);

		if (!key)
			return;
		jinja_add_string(b, key);
		jinja_add_word(b, ": ");
		inner.indent += jinja_length(b->s, key) + 2;
	}
	put(b, item, inner);
	if (is_last)
		return;
	jinja_add_word(b, ",\n");
	jinja_add_fill(b, ' ', (size_t)at.indent + 1);
}

static void put_members(struct jinja_build *b, const struct jinja_value *v, struct place at)
{
	const char *close = v->kind == JINJA_DICT ? "}" : v->kind == JINJA_LIST ? "]" : v->n == 1 ? ",)" : ")";

	jinja_add_word(b, v->kind == JINJA_DICT ? "{" : v->kind == JINJA_LIST ? "[" : "(");
	at.allowance += (int64_t)strlen(close);
	for (uint32_t i = 0; i < v->n && jinja_step(b->s, 1); i++)
		put_member(b, v, i, at);
	jinja_add_word(b, close);
}

static bool put(struct jinja_build *b, const struct jinja_value *v, struct place at)
{
	struct jinja_value *text = v ? repr(b->s, v) : NULL;

	if (!text || !jinja_enter(b->s))
		return false;
	at.level++;
	if (jinja_length(b->s, text) <= COLUMNS - at.indent - at.allowance)
		jinja_add_string(b, text);
	else if (nests(v))
		put_members(b, v, at);
	else if (v->kind == JINJA_STRING && v->n && !(v->flags & JINJA_SAFE))
		put_string(b, v, at);
	else
		jinja_add_string(b, text);
	jinja_leave(b->s);
	return !jinja_failed(b->s);
}

static struct jinja_value *filter_pprint(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_build b;

	(void)a;
	jinja_build_init(&b, s, 0);
	put(&b, in_order(s, v), (struct place){ 0 });
	return jinja_built(&b);
}

static const struct jinja_row row[] = {
	{ "pprint", filter_pprint, "", 0, 0 },
};

const struct jinja_table jinja_filters_pprint = { row, sizeof(row) / sizeof(row[0]) };
