/*
 * The lexer: the expressions by which Jinja2 cuts a template, as code. Signs at tags: '-' takes all white space on its side, '+' keeps
 * what trim_blocks (one newline behind a block or comment) and lstrip_blocks (blanks between the line's start and a block or
 * comment) would take.
 */
#include "daemon/jinja/lex.h"

#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

#include <stdarg.h>
#include <stdio.h>

bool jinja_lex_fail(struct jinja_lexer *x, uint32_t line, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (x->failed)
		return false;
	x->failed = true;
	n = snprintf(x->err, x->err_len, "line %u: ", line);
	va_start(ap, fmt);
	if (n > 0 && (size_t)n < x->err_len)
		vsnprintf(x->err + n, x->err_len - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

static bool starts(const struct jinja_lexer *x, const char *p, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(x->end - p) >= n && !memcmp(p, with, n);
}

static const char *skip_space(const struct jinja_lexer *x, const char *p)
{
	size_t len;

	while (p < x->end && jinja_is_space(jinja_utf8_get(p, (size_t)(x->end - p), &len)))
		p += len;
	return p;
}

/* Where text that begins at p and ends at end ends without its trailing white space. */
static const char *trimmed(const char *p, const char *end)
{
	while (end > p) {
		const char *q = end - 1;
		size_t len;

		while (q > p && end - q < 3 && ((unsigned char)*q & 0xc0) == 0x80)
			q--;
		if (!jinja_is_space(jinja_utf8_get(q, (size_t)(end - q), &len)) || q + len != end)
			break;
		end = q;
	}
	return end;
}

static void advance(struct jinja_lexer *x, const char *to)
{
	for (const char *q = x->p; q < to && (q = memchr(q, '\n', (size_t)(to - q))); q++)
		x->line++;
	x->line_starting = to > x->p && to[-1] == '\n';
	x->p = to;
}

/* "word" behind a tag's begin at p and its sign, up to and with its end; where the tag ends, or NULL. */
static const char *word_tag(const struct jinja_lexer *x, const char *p, const char *word, bool newline)
{
	p += 2;
	if (p < x->end && (*p == '-' || *p == '+'))
		p++;
	p = skip_space(x, p);
	if (!starts(x, p, word))
		return NULL;
	p = skip_space(x, p + strlen(word));
	if (starts(x, p, "-%}"))
		return skip_space(x, p + 3);
	if (newline && starts(x, p, "+%}"))
		return p + 3;
	if (!starts(x, p, "%}"))
		return NULL;
	return p + 2 + (newline && starts(x, p + 2, "\n"));
}

/* The end of the text in front of a tag at `tag`, less the white space that the tag takes. */
static const char *text_end(const struct jinja_lexer *x, const char *tag)
{
	char sign = tag + 2 < x->end ? tag[2] : 0;
	const char *q = tag;

	if (sign == '-')
		return trimmed(x->p, tag);
	if (sign == '+' || tag[1] == '{')
		return tag;
	while (q > x->p && q[-1] != '\n')
		q--;
	if ((q > x->p || x->line_starting) && trimmed(q, tag) == q)
		return q;
	return tag;
}

static const char *find_tag(const struct jinja_lexer *x, const char *p)
{
	while ((p = p < x->end ? memchr(p, '{', (size_t)(x->end - p)) : NULL)) {
		if (p + 1 < x->end && (p[1] == '{' || p[1] == '%' || p[1] == '#'))
			return p;
		p++;
	}
	return NULL;
}

static bool data(struct jinja_lexer *x, struct jinja_token *t, const char *end, const char *next)
{
	*t = (struct jinja_token){ TOKEN_DATA, x->p, (size_t)(end - x->p), x->line };
	advance(x, next);
	return true;
}

/* At "{#". */
static bool comment(struct jinja_lexer *x)
{
	const char *from = x->p + 2, *end, *q;

	if (from < x->end && (*from == '-' || *from == '+'))
		from++;
	end = from < x->end ? memmem(from, (size_t)(x->end - from), "#}", 2) : NULL;
	if (!end)
		return jinja_lex_fail(x, x->line, "Missing end of comment tag");
	q = end + 2;
	if (end > from && end[-1] == '-')
		q = skip_space(x, q);
	else if (!(end > from && end[-1] == '+') && starts(x, q, "\n"))
		q++;
	advance(x, q);
	return true;
}

/* At "{% raw %}", which ends at p. */
static bool raw(struct jinja_lexer *x, struct jinja_token *t, const char *p)
{
	const char *q, *next = NULL;

	advance(x, p);
	for (q = p; (q = q < x->end ? memmem(q, (size_t)(x->end - q), "{%", 2) : NULL); q++) {
		next = word_tag(x, q, "endraw", true);
		if (next)
			break;
	}
	if (!q || !next)
		return jinja_lex_fail(x, x->line, "Missing end of raw directive");
	return data(x, t, text_end(x, q), next);
}

static bool text(struct jinja_lexer *x, struct jinja_token *t)
{
	const char *tag, *past;

	if (x->state == LEX_TEXT) {
		tag = find_tag(x, x->p);
		if (!tag)
			return data(x, t, x->end, x->end);
		x->state = LEX_TAG;
		return data(x, t, text_end(x, tag), tag);
	}
	x->state = LEX_TEXT;
	if (x->p[1] == '#')
		return comment(x) && jinja_lex(x, t);
	past = x->p[1] == '%' ? word_tag(x, x->p, "raw", false) : NULL;
	if (past)
		return raw(x, t, past);
	x->state = x->p[1] == '%' ? LEX_BLOCK : LEX_VARIABLE;
	*t = (struct jinja_token){ x->state == LEX_BLOCK ? TOKEN_BLOCK_BEGIN : TOKEN_VARIABLE_BEGIN, x->p, 2, x->line };
	x->p += 2;
	x->n_open = 0;
	if (x->p < x->end && (*x->p == '-' || *x->p == '+'))
		x->p++;
	return true;
}

/* Past the tag's end and the white space that it takes, if the tag ends here; else NULL. */
static const char *tag_end(const struct jinja_lexer *x)
{
	const char *close = x->state == LEX_BLOCK ? "%}" : "}}";

	if (*x->p == '-' && starts(x, x->p + 1, close))
		return skip_space(x, x->p + 3);
	if (x->state == LEX_BLOCK && *x->p == '+' && starts(x, x->p + 1, close))
		return x->p + 3;
	if (!starts(x, x->p, close))
		return NULL;
	return x->p + 2 + (x->state == LEX_BLOCK && starts(x, x->p + 2, "\n"));
}

static bool is_digit(const struct jinja_lexer *x, const char *p)
{
	return p < x->end && *p >= '0' && *p <= '9';
}

/* Digits with single underscores between them. */
static const char *digits(const struct jinja_lexer *x, const char *p)
{
	while (is_digit(x, p) || (p < x->end && *p == '_' && is_digit(x, p + 1) && is_digit(x, p - 1)))
		p++;
	return p;
}

static bool number(struct jinja_lexer *x, struct jinja_token *t)
{
	const char *from = x->p, *p = digits(x, from), *q;
	bool is_float = false, may_be = !(from[-1] == '.');

	if (may_be && p + 1 < x->end && *p == '.' && is_digit(x, p + 1)) {
		p = digits(x, p + 1);
		is_float = true;
	}
	if (may_be && p < x->end && (*p == 'e' || *p == 'E')) {
		q = p + 1 + (p + 1 < x->end && (p[1] == '+' || p[1] == '-'));
		if (is_digit(x, q)) {
			p = digits(x, q);
			is_float = true;
		}
	}
	if (!is_float && *from == '0' && from + 1 < x->end && strchr("xXoObB", from[1]) && from[1]) {
		for (q = from + 2; q < x->end && (strchr("0123456789abcdefABCDEF_", *q)) && *q; q++)
			;
		p = q > from + 2 ? q : p;
	}
	if (!is_float && *from == '0' && p > from + 1 && !strchr("xXoObB", from[1]))
		for (p = from + 1; p < x->end && (*p == '0' || *p == '_');
		     p++) /* "012" is 0, then 12, which no grammar takes */
			;
	*t = (struct jinja_token){ is_float ? TOKEN_FLOAT : TOKEN_INTEGER, from, (size_t)(p - from), x->line };
	x->p = p;
	return true;
}

static bool name(struct jinja_lexer *x, struct jinja_token *t)
{
	const char *p = x->p;
	size_t len = 0;

	for (; p < x->end; p += len) {
		uint32_t c = jinja_utf8_get(p, (size_t)(x->end - p), &len);

		if (c != '_' &&
		    !(c < 0x80 ? (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') : jinja_is_alpha(c)))
			break;
	}
	if (p == x->p) {
		uint32_t c = jinja_utf8_get(p, (size_t)(x->end - p), &len);

		return jinja_lex_fail(x, x->line,
				      c < ' ' || c > '~' ? "unexpected char U+%04X" : "unexpected char '%c'", c);
	}
	*t = (struct jinja_token){ TOKEN_NAME, x->p, (size_t)(p - x->p), x->line };
	x->p = p;
	return true;
}

static bool string(struct jinja_lexer *x, struct jinja_token *t)
{
	char quote = *x->p;
	const char *q = x->p + 1;

	while (q < x->end && *q != quote)
		q += *q == '\\' ? 2 : 1;
	if (q >= x->end)
		return jinja_lex_fail(x, x->line, "unexpected char '%c'", quote);
	*t = (struct jinja_token){ TOKEN_STRING, x->p + 1, (size_t)(q - x->p - 1), x->line };
	advance(x, q + 1);
	return true;
}

static bool balance(struct jinja_lexer *x, char c)
{
	const char *pair = strchr("()[]{}", c);

	if (!pair || !c)
		return true;
	if (c == '(' || c == '[' || c == '{') {
		if (x->n_open == JINJA_BRACES_MAX)
			return jinja_lex_fail(x, x->line, "more than %d open braces", JINJA_BRACES_MAX);
		x->open[x->n_open++] = pair[1];
		return true;
	}
	if (!x->n_open)
		return jinja_lex_fail(x, x->line, "unexpected '%c'", c);
	if (x->open[--x->n_open] != c)
		return jinja_lex_fail(x, x->line, "unexpected '%c', expected '%c'", c, x->open[x->n_open]);
	return true;
}

static bool operator_at(struct jinja_lexer *x, struct jinja_token *t)
{
	static const char *const two[] = { "//", "**", "==", "!=", ">=", "<=" };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(two) / sizeof(two[0]); i++)
		if (starts(x, x->p, two[i]))
			n = 2;
	if (!n && *x->p && strchr("+-/*%~[](){}><=.:|,;", *x->p))
		n = 1;
	if (!n)
		return name(x, t);
	*t = (struct jinja_token){ TOKEN_OPERATOR, x->p, n, x->line };
	if (!balance(x, *x->p))
		return false;
	x->p += n;
	return true;
}

bool jinja_lex(struct jinja_lexer *x, struct jinja_token *t)
{
	const char *past;

	if (x->state == LEX_TEXT || x->state == LEX_TAG) {
		if (x->p < x->end || x->state == LEX_TAG)
			return text(x, t);
		*t = (struct jinja_token){ TOKEN_END, x->p, 0, x->line };
		return true;
	}
	advance(x, skip_space(x, x->p));
	if (x->p == x->end)
		return jinja_lex_fail(x, x->line, "the template ends inside a tag");
	past = x->n_open ? NULL : tag_end(x);
	if (past) {
		*t = (struct jinja_token){ x->state == LEX_BLOCK ? TOKEN_BLOCK_END : TOKEN_VARIABLE_END, x->p, 2,
					   x->line };
		advance(x, past);
		x->state = LEX_TEXT;
		return true;
	}
	if (is_digit(x, x->p))
		return number(x, t);
	return *x->p == '\'' || *x->p == '"' ? string(x, t) : operator_at(x, t);
}
