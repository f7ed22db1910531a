/*
 * Filters of any value: numbers, lengths, defaults, JSON.
 */
#include "daemon/jinja/big.h"
#include "daemon/jinja/build.h"
#include "daemon/jinja/eval.h"
#include "daemon/jinja/json.h"
#include "daemon/jinja/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct jinja_value *filter_default(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	if (v->kind != JINJA_UNDEFINED && (!jinja_arg_true(a->bound[1], false) || jinja_truth(v)))
		return v;
	return a->bound[0] ? a->bound[0] : jinja_word(s, "");
}

static struct jinja_value *filter_length(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_int(s, jinja_length(s, v));
}

static struct jinja_value *filter_string(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_str(s, v);
}

static struct jinja_value *filter_int(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t base = jinja_arg_int(s, a->bound[1], 10);
	struct jinja_value *i;
	double f;

	if (jinja_is_int(v))
		return jinja_int(s, v->i);
	if (v->kind == JINJA_BIG)
		return v;
	if (v->kind == JINJA_STRING && (i = jinja_read_int(s, v->s.p, v->n, (int)base)))
		return i;
	if (jinja_failed(s))
		return NULL;
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	f = v->kind == JINJA_FLOAT ? v->f : NAN;
	if (v->kind == JINJA_STRING && !jinja_parse_float(v->s.p, v->n, &f))
		f = NAN;
	if (isnan(f) || isinf(f))
		return a->bound[0] ? a->bound[0] : jinja_int(s, 0);
	return jinja_big_of_double(s, f);
}

static struct jinja_value *filter_float(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	double f;

	if (jinja_is_number(v))
		return jinja_float(s, jinja_double(v));
	if (v->kind == JINJA_STRING && jinja_parse_float(v->s.p, v->n, &f))
		return jinja_float(s, f);
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	return a->bound[0] ? a->bound[0] : jinja_float(s, 0);
}

static struct jinja_value *filter_abs(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value zero = { .kind = JINJA_INT };

	(void)a;
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (v->kind == JINJA_FLOAT)
		return jinja_float(s, fabs(v->f));
	if (!jinja_is_number(v))
		return jinja_fail(s, "bad operand type for abs(): '%s'", jinja_type(v));
	return jinja_operate(s, jinja_compare(s, v, &zero, "<") < 0 ? OP_SUB : OP_ADD, &zero, v);
}

/* Half to even in decimal, as Python's round(). */
static double rounded(double f, int64_t digits)
{
	char text[400];
	double scale;

	if (isnan(f) || isinf(f) || digits > 30)
		return f;
	if (digits >= 0) {
		snprintf(text, sizeof(text), "%.*f", (int)digits, f);
		return strtod(text, NULL);
	}
	scale = pow(10, (double)-digits);
	return isinf(scale) ? 0 * f : rint(f / scale) * scale;
}

/* An integer to tens, hundreds, …; half to even. */
static struct jinja_value *rounded_int(struct jinja_scratch *s, struct jinja_value *v, int64_t digits)
{
	struct jinja_value two = { .kind = JINJA_INT, .i = 2 }, ten = { .kind = JINJA_INT, .i = 10 },
			   minus = { .kind = JINJA_INT, .i = -digits };
	struct jinja_value *unit = jinja_operate(s, OP_POW, &ten, &minus), *q, *rest, *twice;
	int c;

	if (!unit)
		return NULL;
	q = jinja_operate(s, OP_FLOOR, v, unit);
	rest = q ? jinja_operate(s, OP_MOD, v, unit) : NULL;
	twice = rest ? jinja_operate(s, OP_MUL, rest, &two) : NULL;
	if (!twice)
		return NULL;
	c = jinja_compare(s, twice, unit, "<");
	v = jinja_operate(s, OP_SUB, v, rest);
	q = jinja_operate(s, OP_MOD, q, &two);
	return v && q && (c > 0 || (!c && q->i)) ? jinja_operate(s, OP_ADD, v, unit) : v;
}

static struct jinja_value *filter_round(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	int64_t digits = jinja_arg_int(s, a->bound[0], 0);
	const struct jinja_value *method = a->bound[1];
	bool up = method && jinja_is_text(method, "ceil"), down = method && jinja_is_text(method, "floor");
	double scale;

	if (method && !up && !down && !jinja_is_text(method, "common"))
		return jinja_fail(s, "method must be common, ceil or floor");
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	if (!jinja_is_number(v))
		return jinja_fail(s, "type %s doesn't define __round__ method", jinja_type(v));
	if (up || down) {
		scale = pow(10, (double)digits);
		return jinja_float(s, ((up ? ceil(jinja_double(v) * scale) : floor(jinja_double(v) * scale)) + 0.0) /
					      scale);
	}
	if (v->kind != JINJA_FLOAT)
		return digits >= 0 ? jinja_operate(s, OP_ADD, v, jinja_int(s, 0)) : rounded_int(s, v, digits);
	return jinja_float(s, rounded(v->f, digits));
}

static struct jinja_value *filter_tojson(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_json_style style = { .ascii = jinja_arg_true(a->bound[0], false),
					  .sort = jinja_arg_true(a->bound[3], false) };
	struct jinja_value *pair = a->bound[2];

	if (a->bound[1] && a->bound[1]->kind != JINJA_NONE)
		style.indent = a->bound[1];
	if (pair && pair->kind != JINJA_NONE) {
		if (!jinja_is_sequence(pair) || pair->n != 2 || pair->l.at[0]->kind != JINJA_STRING ||
		    pair->l.at[1]->kind != JINJA_STRING)
			return jinja_fail(s, "separators must be a pair of strings");
		style.item = pair->l.at[0];
		style.colon = pair->l.at[1];
	}
	return jinja_json_text(s, v, &style);
}

static struct jinja_value *filter_safe(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *text = jinja_str(s, v), *safe;

	(void)a;
	safe = text ? jinja_text(s, text->s.p, text->n, text->s.mark) : NULL;
	if (safe)
		safe->flags |= JINJA_SAFE;
	return safe;
}

static struct jinja_value *filter_escape(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_escape(s, v);
}

static struct jinja_value *filter_forceescape(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *text = jinja_str(s, v);

	(void)a;
	return text ? jinja_escape(s, jinja_text(s, text->s.p, text->n, text->s.mark)) : NULL;
}

static struct jinja_value *filter_attr(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value *name = jinja_str(s, a->bound[0]), *found;

	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	found = name ? jinja_own_attribute(s, v, name) : NULL;
	return found || jinja_failed(s) ? found : jinja_undefined(s, v, name);
}

static struct jinja_value *filter_filesizeformat(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	static const char *const decimal[] = { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" }, *const binary[] = {
		"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"
	};
	bool is_binary = jinja_arg_true(a->bound[0], false);
	double bytes = 0, base = is_binary ? 1024 : 1000, unit = base;
	char text[400];
	int i = 0;

	if (!jinja_is_number(v) && !(v->kind == JINJA_STRING && jinja_parse_float(v->s.p, v->n, &bytes)))
		return jinja_fail(s, "could not convert to float");
	if (jinja_is_number(v))
		bytes = jinja_double(v);
	if (bytes == 1)
		return jinja_word(s, "1 Byte");
	if (bytes < base) {
		snprintf(text, sizeof(text), "%.0f Bytes", trunc(bytes) + 0.0);
		return jinja_string(s, text, strlen(text), false);
	}
	for (unit = base * base; bytes >= unit && i < 7; i++)
		unit *= base;
	snprintf(text, sizeof(text), "%.1f %s", base * bytes / unit, (is_binary ? binary : decimal)[i]);
	return jinja_string(s, text, strlen(text), false);
}

static const struct jinja_row row[] = {
	{ "default", filter_default, "default_value boolean", 0, 0 },
	{ "d", filter_default, "default_value boolean", 0, 0 },
	{ "length", filter_length, "", 0, 0 },
	{ "count", filter_length, "", 0, 0 },
	{ "string", filter_string, "", 0, 0 },
	{ "int", filter_int, "default base", 0, 0 },
	{ "float", filter_float, "default", 0, 0 },
	{ "abs", filter_abs, "", 0, 0 },
	{ "round", filter_round, "precision method", 0, 0 },
	{ "tojson", filter_tojson, "ensure_ascii indent separators sort_keys", 0, 0 },
	{ "safe", filter_safe, "", 0, 0 },
	{ "escape", filter_escape, "", 0, 0 },
	{ "e", filter_escape, "", 0, 0 },
	{ "forceescape", filter_forceescape, "", 0, 0 },
	{ "attr", filter_attr, "name", 1, 0 },
	{ "filesizeformat", filter_filesizeformat, "binary", 0, 0 },
};

const struct jinja_table jinja_filters_plain = { row, sizeof(row) / sizeof(row[0]) };
