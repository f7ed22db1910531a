/*
 * How Python shows values: str() and repr(). The text of a container is nobody's in particular, so it is not the template's.
 */
#include "daemon/jinja/build.h"
#include "daemon/jinja/object.h"
#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest digits that read back as f, laid out as Python does: exponents below -4 and from 16 on. */
bool jinja_add_float(struct jinja_build *b, double f)
{
	char text[40], out[40];
	int digits = 0, exponent, n;
	char *e;

	if (isnan(f) || isinf(f))
		return jinja_add_word(b, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
	do
		snprintf(text, sizeof(text), "%.*e", digits, f);
	while (strtod(text, NULL) != f && ++digits < 17);
	e = strchr(text, 'e');
	exponent = atoi(e + 1);
	if (exponent < -4 || exponent >= 16) {
		snprintf(out, sizeof(out), "%.*se%c%02d", (int)(e - text), text, exponent < 0 ? '-' : '+',
			 abs(exponent));
		return jinja_add_word(b, out);
	}
	n = digits - exponent;
	snprintf(out, sizeof(out), "%.*f", n > 0 ? n : 1, f);
	return jinja_add_word(b, out);
}

static bool add_quoted(struct jinja_build *b, const struct jinja_value *v)
{
	char quote = memchr(v->s.p, '\'', v->n) && !memchr(v->s.p, '"', v->n) ? '"' : '\'';
	size_t len;

	jinja_add(b, &quote, 1, NULL);
	for (size_t i = 0; i < v->n && !jinja_failed(b->s); i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len);
		char text[16];
		const char *as = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : c == '\\' ? "\\\\" : NULL;

		if (c == (unsigned char)quote) {
			snprintf(text, sizeof(text), "\\%c", quote);
			as = text;
		} else if (!as && !jinja_is_printable(c)) {
			snprintf(text, sizeof(text), c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
			as = text;
		}
		jinja_add(b, as ? as : v->s.p + i, as ? strlen(as) : len, NULL);
	}
	return jinja_add(b, &quote, 1, NULL);
}

static bool add_items(struct jinja_build *b, const struct jinja_value *v, const char *open, const char *close)
{
	jinja_add_word(b, open);
	for (uint32_t i = 0; i < v->n && jinja_step(b->s, 1); i++) {
		if (i)
			jinja_add_word(b, ", ");
		jinja_add_repr(b, v->l.at[i]);
	}
	return jinja_add_word(b, close);
}

static bool add_members(struct jinja_build *b, const struct jinja_value *v, const char *open, const char *close)
{
	jinja_add_word(b, open);
	for (uint32_t i = 0; i < v->n && jinja_step(b->s, 1); i++) {
		if (i)
			jinja_add_word(b, ", ");
		jinja_add_repr(b, v->d.at[i].key);
		jinja_add_word(b, ": ");
		jinja_add_repr(b, v->d.at[i].value);
	}
	return jinja_add_word(b, close);
}

static bool add_range(struct jinja_build *b, const struct jinja_value *v)
{
	jinja_add_word(b, "range(");
	jinja_add_int(b, v->r.start);
	jinja_add_word(b, ", ");
	jinja_add_int(b, jinja_range_item(v, v->n));
	if (v->r.step != 1) {
		jinja_add_word(b, ", ");
		jinja_add_int(b, v->r.step);
	}
	return jinja_add_word(b, ")");
}

static bool add_nested(struct jinja_build *b, const struct jinja_value *v)
{
	switch (v->kind) {
	case JINJA_LIST:
		return add_items(b, v, "[", "]");
	case JINJA_TUPLE:
		return add_items(b, v, "(", v->n == 1 ? ",)" : ")");
	case JINJA_KEYS:
		return add_items(b, v, "dict_keys([", "])");
	case JINJA_VALUES:
		return add_items(b, v, "dict_values([", "])");
	case JINJA_ITEMS:
		return add_items(b, v, "dict_items([", "])");
	case JINJA_DICT:
		return add_members(b, v, "{", "}");
	case JINJA_NAMESPACE:
		return add_members(b, v, "<Namespace {", "}>");
	default:
		return jinja_add_object(b, v);
	}
}

bool jinja_add_repr(struct jinja_build *b, const struct jinja_value *v)
{
	bool ok;

	switch (v ? v->kind : JINJA_UNDEFINED) {
	case JINJA_STRING:
		if (!(v->flags & JINJA_SAFE))
			return add_quoted(b, v);
		jinja_add_word(b, "Markup(");
		add_quoted(b, v);
		return jinja_add_word(b, ")");
	case JINJA_UNDEFINED:
		return jinja_add_word(b, "Undefined");
	case JINJA_NONE:
		return jinja_add_word(b, "None");
	case JINJA_BOOL:
		return jinja_add_word(b, v->i ? "True" : "False");
	case JINJA_INT:
		return jinja_add_int(b, v->i);
	case JINJA_BIG:
		return jinja_add(b, v->s.p, v->n, NULL);
	case JINJA_FLOAT:
		return jinja_add_float(b, v->f);
	case JINJA_RANGE:
		return add_range(b, v);
	default:
		if (!jinja_enter(b->s))
			return false;
		ok = add_nested(b, v);
		jinja_leave(b->s);
		return ok;
	}
}

bool jinja_add_str(struct jinja_build *b, const struct jinja_value *v)
{
	if (!v)
		return false;
	if (v->kind == JINJA_STRING)
		return jinja_add_string(b, v);
	return v->kind == JINJA_UNDEFINED ? !jinja_failed(b->s) : jinja_add_repr(b, v);
}
