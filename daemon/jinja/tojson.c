/*
 * json.dumps. The bytes of JSON are never the template's, whichever side wrote the string.
 */
#include "daemon/jinja/build.h"
#include "daemon/jinja/json.h"
#include "daemon/jinja/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct writer {
	struct jinja_build b;
	struct jinja_scratch *s;
	const struct jinja_json_style *style;
	uint32_t level;
};

static void write_value(struct writer *w, const struct jinja_value *v);

static void add_unmarked(struct writer *w, const struct jinja_value *text)
{
	jinja_add(&w->b, text->s.p, text->n, NULL);
}

static void write_escape(struct writer *w, uint32_t c)
{
	static const char plain[] = "\"\\\n\r\t\f\b", as[] = "\"\\nrtfb";
	const char *e = c && c < 0x80 ? strchr(plain, (int)c) : NULL;
	char text[16];

	if (e)
		snprintf(text, sizeof(text), "\\%c", as[e - plain]);
	else if (c >= 0x10000)
		snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
			 0xdc00 + ((c - 0x10000) & 0x3ff));
	else
		snprintf(text, sizeof(text), "\\u%04x", c);
	jinja_add_word(&w->b, text);
}

static void write_text(struct writer *w, const struct jinja_value *v)
{
	size_t from = 0, len;

	jinja_add_word(&w->b, "\"");
	for (size_t i = 0; i < v->n && !jinja_failed(w->s); i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len);

		if (c >= ' ' && c != '"' && c != '\\' && (c < 0x7f || !w->style->ascii || (c == 0x7f)))
			continue;
		jinja_add(&w->b, v->s.p + from, i - from, NULL);
		write_escape(w, c);
		from = i + len;
	}
	jinja_add(&w->b, v->s.p + from, v->n - from, NULL);
	jinja_add_word(&w->b, "\"");
}

static void line(struct writer *w)
{
	const struct jinja_value *indent = w->style->indent;

	if (!indent || !jinja_step(w->s, w->level / 8))
		return;
	jinja_add_word(&w->b, "\n");
	for (uint32_t i = 0; i < w->level; i++)
		if (indent->kind == JINJA_STRING)
			add_unmarked(w, indent);
		else if (jinja_is_int(indent) && indent->i > 0)
			jinja_add_fill(&w->b, ' ', (size_t)indent->i);
}

static void separate(struct writer *w)
{
	if (w->style->item)
		add_unmarked(w, w->style->item);
	else
		jinja_add_word(&w->b, w->style->indent ? "," : ", ");
	line(w);
}

static void write_list(struct writer *w, const struct jinja_value *v)
{
	if (!v->n) {
		jinja_add_word(&w->b, "[]");
		return;
	}
	jinja_add_word(&w->b, "[");
	w->level++;
	line(w);
	for (uint32_t i = 0; i < v->n && jinja_step(w->s, 1); i++) {
		if (i)
			separate(w);
		write_value(w, v->l.at[i]);
	}
	w->level--;
	line(w);
	jinja_add_word(&w->b, "]");
}

static void write_key(struct writer *w, const struct jinja_value *key)
{
	if (key->kind == JINJA_STRING) {
		write_text(w, key);
	} else if (jinja_is_number(key) || key->kind == JINJA_NONE) {
		jinja_add_word(&w->b, "\"");
		write_value(w, key);
		jinja_add_word(&w->b, "\"");
	} else {
		jinja_fail(w->s, "keys must be str, int, float, bool or None, not %s", jinja_type(key));
	}
	if (w->style->colon)
		add_unmarked(w, w->style->colon);
	else
		jinja_add_word(&w->b, ": ");
}

static int by_key(const void *a, const void *b, void *s)
{
	const struct jinja_pair *x = a, *y = b;

	return jinja_failed(s) ? 0 : jinja_compare(s, x->key, y->key, "<");
}

static const struct jinja_pair *sorted(struct writer *w, const struct jinja_value *v)
{
	struct jinja_pair *m = jinja_alloc(w->s, v->n * sizeof(*m));

	if (!m)
		return NULL;
	memcpy(m, v->d.at, v->n * sizeof(*m));
	jinja_sort(w->s, m, v->n, sizeof(*m), by_key);
	return m;
}

static void write_dict(struct writer *w, const struct jinja_value *v)
{
	const struct jinja_pair *m = v->d.at;

	if (!v->n) {
		jinja_add_word(&w->b, "{}");
		return;
	}
	if (w->style->sort)
		m = sorted(w, v);
	jinja_add_word(&w->b, "{");
	w->level++;
	line(w);
	for (uint32_t i = 0; m && i < v->n && jinja_step(w->s, 1); i++) {
		if (i)
			separate(w);
		write_key(w, m[i].key);
		write_value(w, m[i].value);
	}
	w->level--;
	line(w);
	jinja_add_word(&w->b, "}");
}

static void write_scalar(struct writer *w, const struct jinja_value *v)
{
	switch (v->kind) {
	case JINJA_NONE:
		jinja_add_word(&w->b, "null");
		break;
	case JINJA_BOOL:
		jinja_add_word(&w->b, v->i ? "true" : "false");
		break;
	case JINJA_STRING:
		write_text(w, v);
		break;
	case JINJA_FLOAT:
		if (isnan(v->f) || isinf(v->f))
			jinja_add_word(&w->b, isnan(v->f) ? "NaN" : v->f < 0 ? "-Infinity" : "Infinity");
		else
			jinja_add_float(&w->b, v->f);
		break;
	case JINJA_INT:
	case JINJA_BIG:
		jinja_add_repr(&w->b, v);
		break;
	default:
		jinja_fail(w->s, "Object of type %s is not JSON serializable", jinja_type(v));
	}
}

static void write_value(struct writer *w, const struct jinja_value *v)
{
	if (v->kind != JINJA_LIST && v->kind != JINJA_TUPLE && v->kind != JINJA_DICT) {
		write_scalar(w, v);
		return;
	}
	if (!jinja_enter(w->s))
		return;
	if (v->kind == JINJA_DICT)
		write_dict(w, v);
	else
		write_list(w, v);
	jinja_leave(w->s);
}

struct jinja_value *jinja_json_text(struct jinja_scratch *s, const struct jinja_value *v,
				    const struct jinja_json_style *style)
{
	struct writer w = { .s = s, .style = style };

	jinja_build_init(&w.b, s, 256);
	write_value(&w, v);
	return jinja_built(&w.b);
}
