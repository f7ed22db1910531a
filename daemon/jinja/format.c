/*
 * "%" and str.format. A format's own bytes keep their marks, and so do strings that are put in.
 */
#include "daemon/jinja/format.h"

#include "daemon/jinja/big.h"
#include "daemon/jinja/eval.h"
#include "daemon/jinja/layout.h"
#include "daemon/jinja/text.h"
#include "daemon/jinja/utf8.h"

#include <math.h>
#include <stdio.h>

/* The value that a conversion of a % format takes. */
static struct jinja_value *take(struct jinja_scratch *s, struct jinja_value *v, uint32_t *used)
{
	if (v->kind == JINJA_TUPLE)
		return *used < v->n ? v->l.at[(*used)++] : jinja_fail(s, "not enough arguments for format string");
	return (*used)++ ? jinja_fail(s, "not enough arguments for format string") : v;
}

static struct jinja_value *converted(struct jinja_scratch *s, struct jinja_value *v, struct jinja_spec *o)
{
	struct jinja_value *text;
	struct jinja_build b;

	switch (o->type) {
	case 's':
		text = jinja_str(s, v);
		break;
	case 'r':
	case 'a':
		jinja_build_init(&b, s, 0);
		jinja_add_repr(&b, v);
		text = jinja_built(&b);
		break;
	case 'c':
		if (v->kind == JINJA_STRING && jinja_length(s, v) == 1)
			return v;
		if (!jinja_is_int(v) || v->i < 0 || v->i > 0x10ffff)
			return jinja_fail(s, "%%c requires int or char");
		jinja_build_init(&b, s, 0);
		jinja_add_rune(&b, (uint32_t)v->i, NULL);
		return jinja_built(&b);
	default:
		if (!jinja_is_number(v))
			return v->kind == JINJA_UNDEFINED
				       ? jinja_fail_undefined(s, v)
				       : jinja_fail(s, "%%%c format: a real number is required, not %s", o->type,
						    jinja_type(v));
		if (o->type == 'd' || o->type == 'i' || o->type == 'u') {
			o->type = 'd';
			if (v->kind == JINJA_FLOAT) {
				if (!isfinite(v->f))
					return jinja_fail(s, "cannot convert float to integer");
				v = jinja_big_of_double(s, v->f);
			}
		}
		return v ? jinja_layout_number(s, v, o) : NULL;
	}
	if (text && o->precision >= 0 && o->precision < text->n) {
		struct jinja_value to = { .kind = JINJA_INT, .i = o->precision };

		text = jinja_slice(s, text, NULL, &to, NULL);
	}
	return text;
}

/* Where one of the stops is, from byte i on; the end. */
static size_t until(const struct jinja_value *v, size_t i, const char *stops)
{
	while (i < v->n && !(v->s.p[i] && strchr(stops, v->s.p[i])))
		i++;
	return i < v->n ? i : v->n;
}

struct scan {
	const char *p;
	size_t i, n;
};

static bool at(const struct scan *c, char x)
{
	return c->i < c->n && c->p[c->i] == x;
}

static int64_t digits(struct scan *c)
{
	int64_t n = 0;

	while (c->i < c->n && c->p[c->i] >= '0' && c->p[c->i] <= '9' && n <= JINJA_WIDTH_MAX)
		n = 10 * n + (c->p[c->i++] - '0');
	return n;
}

static bool starred(struct jinja_scratch *s, struct scan *c, struct jinja_value *v, uint32_t *used, int64_t *to)
{
	struct jinja_value *given;

	if (!at(c, '*')) {
		*to = digits(c);
		return true;
	}
	c->i++;
	given = take(s, v, used);
	*to = given ? jinja_arg_int(s, given, 0) : 0;
	return given && !jinja_failed(s);
}

/* Behind '%', up to and with the conversion. */
static struct jinja_value *percent_one(struct jinja_scratch *s, struct scan *c, struct jinja_value *v, uint32_t *used)
{
	struct jinja_spec o = { .precision = -1 };
	struct jinja_value *given = NULL;

	if (at(c, '(')) {
		const char *close = memchr(c->p + c->i, ')', c->n - c->i);
		size_t from = c->i + 1;

		if (!close)
			return jinja_fail(s, "incomplete format key");
		if (v->kind != JINJA_DICT)
			return jinja_fail(s, "format requires a mapping");
		c->i = (size_t)(close - c->p) + 1;
		given = jinja_dict_find_text(v, c->p + from, c->i - 1 - from);
		if (!given)
			return jinja_fail(s, "'%.*s'", (int)(c->i - 1 - from), c->p + from);
	}
	for (; c->i < c->n && c->p[c->i] && strchr("-+ #0", c->p[c->i]); c->i++) {
		o.align = at(c, '-') ? '<' : o.align;
		o.sign = at(c, '+') ? '+' : at(c, ' ') && o.sign != '+' ? ' ' : o.sign;
		o.alternate |= at(c, '#');
		o.zero |= at(c, '0');
	}
	if (!starred(s, c, v, used, &o.width))
		return NULL;
	if (at(c, '.')) {
		c->i++;
		if (!starred(s, c, v, used, &o.precision))
			return NULL;
	}
	while (at(c, 'l') || at(c, 'h') || at(c, 'L'))
		c->i++;
	if (c->i == c->n)
		return jinja_fail(s, "incomplete format");
	if (o.width > JINJA_WIDTH_MAX || o.precision > JINJA_WIDTH_MAX)
		return jinja_over(s, "width of a format");
	o.type = c->p[c->i++];
	if (o.type == '%')
		return jinja_word(s, "%");
	if (!o.type || !strchr("sradiuoxXeEfFgGc", o.type))
		return jinja_fail(s, "unsupported format character");
	if (!given)
		given = take(s, v, used);
	return given ? jinja_layout_text(s, converted(s, given, &o), &o, '>') : NULL;
}

struct jinja_value *jinja_percent(struct jinja_scratch *s, const struct jinja_value *format, struct jinja_value *v)
{
	struct scan c = { format->s.p, 0, format->n };
	struct jinja_build b;
	uint32_t used = 0;

	jinja_build_init(&b, s, format->n);
	while (c.i < c.n && jinja_step(s, 1)) {
		const char *sign = memchr(c.p + c.i, '%', c.n - c.i);
		size_t to = sign ? (size_t)(sign - c.p) : c.n;
		struct jinja_value *text;

		jinja_add_part(&b, format, c.i, to);
		if (!sign)
			break;
		c.i = to + 1;
		text = percent_one(s, &c, v, &used);
		if (!text || !jinja_add_string(&b, text))
			return NULL;
	}
	if (v->kind == JINJA_TUPLE
		    ? used < v->n
		    : !used && v->kind != JINJA_DICT && v->kind != JINJA_LIST && v->kind != JINJA_UNDEFINED)
		return jinja_fail(s, "not all arguments converted during string formatting");
	return jinja_built(&b);
}

/* "[[fill]align][sign][#][0][width][,|_][.precision][type]" */
static bool read_spec(struct jinja_scratch *s, struct scan *c, struct jinja_spec *o)
{
	size_t len = 0;

	*o = (struct jinja_spec){ .precision = -1 };
	if (c->i < c->n)
		jinja_utf8_get(c->p + c->i, c->n - c->i, &len);
	if (len && c->i + len < c->n && c->p[c->i + len] && strchr("<>=^", c->p[c->i + len])) {
		memcpy(o->fill, c->p + c->i, len);
		o->align = c->p[c->i + len];
		c->i += len + 1;
	} else if (c->i < c->n && c->p[c->i] && strchr("<>=^", c->p[c->i])) {
		o->align = c->p[c->i++];
	}
	if (c->i < c->n && c->p[c->i] && strchr("+- ", c->p[c->i]))
		o->sign = c->p[c->i++];
	if (at(c, '#'))
		o->alternate = c->i++ < c->n;
	if (at(c, '0')) {
		o->zero = c->i++ < c->n;
		if (!*o->fill)
			*o->fill = '0';
	}
	o->width = digits(c);
	if (at(c, ',') || at(c, '_'))
		o->group = c->p[c->i++];
	if (at(c, '.')) {
		c->i++;
		o->precision = digits(c);
	}
	if (o->width > JINJA_WIDTH_MAX || o->precision > JINJA_WIDTH_MAX)
		return jinja_over(s, "width of a format");
	if (c->i < c->n)
		o->type = c->p[c->i++];
	return c->i == c->n || jinja_fail(s, "Invalid format specifier");
}

static struct jinja_value *text_by_spec(struct jinja_scratch *s, struct jinja_value *v, struct jinja_spec *o)
{
	if (o->type && o->type != 's')
		return jinja_fail(s, "Unknown format code '%c' for object of type '%s'", o->type, jinja_type(v));
	if (v->kind != JINJA_STRING)
		return jinja_fail(s, "unsupported format string passed to %s.__format__", jinja_type(v));
	if (o->group)
		return jinja_fail(s, "Cannot specify '%c' with 's'.", o->group);
	if (o->sign || o->alternate || o->align == '=')
		return jinja_fail(s, "%s not allowed in string format specifier",
				  o->sign        ? "Sign"
				  : o->alternate ? "Alternate form (#)"
						 : "'=' alignment");
	o->type = 's';
	return jinja_layout_text(s, converted(s, v, o), o, '<');
}

static struct jinja_value *by_spec(struct jinja_scratch *s, struct jinja_value *v, struct jinja_spec *o)
{
	if (!jinja_is_number(v))
		return text_by_spec(s, v, o);
	if (!o->type && v->kind == JINJA_FLOAT)
		return jinja_layout_text(s, jinja_layout_number(s, v, o), o, '>');
	if (!o->type)
		o->type = 'd';
	if (!strchr("dbcoxXeEfFgG%n", o->type))
		return jinja_fail(s, "Unknown format code '%c' for object of type '%s'", o->type, jinja_type(v));
	if (o->group && strchr(o->group == ',' ? "bcoxXn" : "cn", o->type))
		return jinja_fail(s, "Cannot specify '%c' with '%c'.", o->group, o->type);
	if (o->type == 'c' && (o->sign || o->alternate))
		return jinja_fail(s, "%s not allowed with integer format specifier 'c'",
				  o->sign ? "Sign" : "Alternate form (#)");
	if (o->precision >= 0 && strchr("dbcoxX", o->type))
		return jinja_fail(s, "Precision not allowed in integer format specifier");
	return jinja_layout_text(s, o->type == 'c' ? converted(s, v, o) : jinja_layout_number(s, v, o), o, '>');
}

/* "name.attr[item]" at the field's start; a number or nothing counts arguments. */
static struct jinja_value *field(struct jinja_scratch *s, const struct jinja_value *path, struct jinja_args *a,
				 int64_t *automatic)
{
	size_t from = until(path, 0, ".[");
	struct scan c = { path->s.p, 0, from };
	struct jinja_value *v = NULL;
	int64_t i;

	if (!from) {
		i = (*automatic)++;
	} else {
		i = digits(&c);
		if (c.i != from)
			i = -1;
	}
	if (i >= 0 && i < a->n)
		v = a->at[i];
	else if (i >= 0)
		return jinja_fail(s, "Replacement index %lld out of range for positional args tuple", (long long)i);
	for (uint32_t k = 0; !v && k < a->n_kw; k++)
		if (a->key[k]->n == from && !memcmp(a->key[k]->s.p, path->s.p, from))
			v = a->value[k];
	if (!v)
		return jinja_fail(s, "'%.*s'", (int)from, path->s.p);
	while (from < path->n && v && jinja_step(s, 1)) {
		bool is_item = path->s.p[from] == '[';
		size_t to = until(path, from + 1, is_item ? "]" : ".[");
		struct jinja_value *name = jinja_text_part(s, path, from + 1, to);
		struct scan d = { path->s.p, from + 1, to };

		i = digits(&d);
		if (name && is_item)
			v = jinja_item(s, v, d.i == to && to > from + 1 ? jinja_int(s, i) : name);
		else
			v = name ? jinja_attribute(s, v, name, true) : NULL;
		from = to + is_item;
	}
	return v;
}

static struct jinja_value *brace_one(struct jinja_scratch *s, const struct jinja_value *inside, struct jinja_args *a,
				     int64_t *automatic)
{
	size_t end = until(inside, 0, "!:");
	struct jinja_value *path = jinja_text_part(s, inside, 0, end), *v = path ? field(s, path, a, automatic) : NULL;
	struct scan c = { inside->s.p, end, inside->n };
	struct jinja_spec o;

	if (!v)
		return NULL;
	if (at(&c, '!')) {
		char how = c.i + 1 < c.n ? c.p[c.i + 1] : 0;
		struct jinja_spec plain = { .type = how, .precision = -1 };

		if (how != 's' && how != 'r' && how != 'a')
			return jinja_fail(s, "Unknown conversion specifier");
		v = converted(s, v, &plain);
		c.i += 2;
	}
	if (!v || c.i >= c.n)
		return jinja_str(s, v);
	c.i++;
	if (c.i == c.n)
		return jinja_str(s, v);
	return read_spec(s, &c, &o) ? by_spec(s, v, &o) : NULL;
}

struct jinja_value *jinja_braces(struct jinja_scratch *s, const struct jinja_value *format, struct jinja_args *a)
{
	int64_t automatic = 0;
	struct jinja_build b;
	size_t i = 0;

	jinja_build_init(&b, s, format->n);
	while (i < format->n && jinja_step(s, 1)) {
		size_t to = until(format, i, "{}");
		struct jinja_value *text;
		const char *close;

		jinja_add_part(&b, format, i, to);
		if (to == format->n)
			break;
		if (to + 1 < format->n && format->s.p[to + 1] == format->s.p[to]) {
			jinja_add_part(&b, format, to, to + 1);
			i = to + 2;
			continue;
		}
		close = format->s.p[to] == '{' ? memchr(format->s.p + to, '}', format->n - to) : NULL;
		if (!close)
			return jinja_fail(s, "Single '%c' encountered in format string", format->s.p[to]);
		text = jinja_text_part(s, format, to + 1, (size_t)(close - format->s.p));
		text = text ? brace_one(s, text, a, &automatic) : NULL;
		if (!text || !jinja_add_string(&b, text))
			return NULL;
		i = (size_t)(close - format->s.p) + 1;
	}
	return jinja_built(&b);
}
