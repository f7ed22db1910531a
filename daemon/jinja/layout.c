/*
 * Signs, prefixes, digits, and what stands between and in front of them. Python rounds and writes the digits of a double as the C library
 * does, but where a format has no type.
 */
#include "daemon/jinja/layout.h"

#include "daemon/jinja/big.h"
#include "daemon/jinja/object.h"
#include "daemon/jinja/text.h"

#include <math.h>
#include <stdio.h>

static struct jinja_value *float_digits(struct jinja_scratch *s, double f, const struct jinja_spec *o)
{
	char c[8], text[512];
	int64_t precision = o->precision < 0 ? 6 : o->precision;
	double x = o->type == '%' ? f * 100 : f;
	int n;

	if (precision > 100)
		return jinja_fail(s, "precision too big");
	snprintf(c, sizeof(c), "%%%s.*%c", o->alternate ? "#" : "",
		 o->type == '%'   ? 'f'
		 : o->type == 'n' ? 'g'
				  : o->type);
	n = snprintf(text, sizeof(text) - 2, c, (int)precision, fabs(x));
	if (o->type == '%')
		text[n++] = '%';
	return jinja_string(s, text, (size_t)n, false);
}

static unsigned base_of(char type)
{
	return type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
}

/* o's group between each `size` of the first `whole` digits, with zeros in front of them up to a length of `least`. */
static struct jinja_value *grouped(struct jinja_scratch *s, struct jinja_value *digits, size_t whole, size_t size,
				   const struct jinja_spec *o, int64_t least)
{
	const char group[] = { o->group, 0 };
	size_t n = whole;
	struct jinja_build b;

	if (!digits || !o->group || !whole)
		return digits;
	while (o->zero && *o->fill == '0' && (!o->align || o->align == '=') &&
	       (int64_t)(digits->n - whole + n + (n - 1) / size) < least)
		n++;
	jinja_build_init(&b, s, 0);
	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % size == 0)
			jinja_add_word(&b, group);
		if (i < n - whole)
			jinja_add_word(&b, "0");
		else
			jinja_add_part(&b, digits, i - (n - whole), i - (n - whole) + 1);
	}
	jinja_add_part(&b, digits, whole, digits->n);
	return jinja_built(&b);
}

/* Sign and prefix of a number: up to three characters. */
static const char *front_of(char text[4], bool negative, const struct jinja_spec *o)
{
	char *p = text;

	if (negative || (o->sign && o->sign != '-'))
		*p++ = (char)(negative ? '-' : o->sign);
	if (o->alternate && base_of(o->type) != 10) {
		*p++ = '0';
		*p++ = o->type;
	}
	*p = 0;
	return text;
}

static struct jinja_value *small_digits(struct jinja_scratch *s, uint64_t i, unsigned base, bool upper)
{
	char text[64];
	size_t n = sizeof(text);

	do {
		text[--n] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[i % base];
		i /= base;
	} while (i);
	return jinja_string(s, text + n, sizeof(text) - n, false);
}

static struct jinja_value *int_digits(struct jinja_scratch *s, const struct jinja_value *v, const struct jinja_spec *o,
				      int64_t least)
{
	unsigned base = base_of(o->type);
	struct jinja_value *digits;
	struct jinja_build b;

	if (v->kind == JINJA_BIG)
		digits = jinja_big_digits(s, v, base, o->type == 'X');
	else
		digits = small_digits(s, v->i < 0 ? -(uint64_t)v->i : (uint64_t)v->i, base, o->type == 'X');
	if (!digits || o->precision <= digits->n)
		return grouped(s, digits, digits ? digits->n : 0, base == 10 ? 3 : 4, o, least);
	jinja_build_init(&b, s, 0);
	jinja_add_fill(&b, '0', (size_t)o->precision - digits->n);
	jinja_add_string(&b, digits);
	return jinja_built(&b);
}

/* Before the point: "12" of "12.5". */
static size_t n_whole(const struct jinja_value *digits)
{
	size_t n = 0;

	while (digits && n < digits->n && digits->s.p[n] >= '0' && digits->s.p[n] <= '9')
		n++;
	return n;
}

static struct jinja_value *with_front(struct jinja_scratch *s, struct jinja_value *digits, const char *front,
				      const struct jinja_spec *o)
{
	int64_t room = digits ? o->width - (int64_t)digits->n - (int64_t)strlen(front) : 0;
	struct jinja_build b;

	if (!digits)
		return NULL;
	jinja_build_init(&b, s, 0);
	jinja_add_word(&b, front);
	if ((o->zero && !o->align) || o->align == '=')
		for (; room > 0; room--)
			jinja_add_word(&b, *o->fill ? o->fill : o->zero ? "0" : " ");
	jinja_add_string(&b, digits);
	return jinja_built(&b);
}

/* "1.5e+02", of up to o's precision of digits. */
static struct jinja_value *exponent(struct jinja_scratch *s, double f, const struct jinja_spec *o)
{
	struct jinja_spec as = *o;
	struct jinja_value *digits;
	struct jinja_build b;
	size_t n, e = 0;

	as.type = 'e';
	as.precision = o->precision > 1 ? o->precision - 1 : 0;
	digits = float_digits(s, f, &as);
	if (!digits)
		return NULL;
	while (e < digits->n && digits->s.p[e] != 'e')
		e++;
	for (n = e; n > 1 && digits->s.p[n - 1] == '0';)
		n--;
	n -= digits->s.p[n - 1] == '.';
	jinja_build_init(&b, s, 0);
	jinja_add_part(&b, digits, 0, n);
	jinja_add_part(&b, digits, e, digits->n);
	return jinja_built(&b);
}

/* As Python shows a double, or in as many digits: one of them behind the point, unless there is an exponent. */
static struct jinja_value *plain_float(struct jinja_scratch *s, double f, const struct jinja_spec *o)
{
	struct jinja_spec as = *o;
	struct jinja_value *digits;
	struct jinja_build b;
	size_t whole;

	jinja_build_init(&b, s, 0);
	as.type = 'g';
	if (o->precision < 0) {
		jinja_add_float(&b, fabs(f));
		return jinja_built(&b);
	}
	digits = float_digits(s, f, &as);
	whole = n_whole(digits);
	if (!digits || whole < digits->n || !whole)
		return digits;
	if (whole < (size_t)o->precision) {
		jinja_add_string(&b, digits);
		jinja_add_word(&b, ".0");
		return jinja_built(&b);
	}
	return exponent(s, f, &as);
}

static bool is_negative(const struct jinja_value *v)
{
	return v->kind == JINJA_FLOAT ? signbit(v->f) : v->kind == JINJA_BIG ? v->s.p[0] == '-' : v->i < 0;
}

struct jinja_value *jinja_layout_number(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_spec *o)
{
	bool is_float = o->type ? strchr("eEfFgG%n", o->type) != NULL : v->kind == JINJA_FLOAT;
	char text[4];
	const char *front;
	struct jinja_value *digits;

	if (!is_float && v->kind != JINJA_BIG && !jinja_is_int(v))
		return jinja_fail(s, "an integer is required, not %s", jinja_type(v));
	front = front_of(text, is_negative(v), o);
	if (!is_float)
		return with_front(s, int_digits(s, v, o, o->width - (int64_t)strlen(front)), front, o);
	digits = o->type ? float_digits(s, jinja_double(v), o) : plain_float(s, v->f, o);
	digits = grouped(s, digits, n_whole(digits), 3, o, o->width - (int64_t)strlen(front));
	return with_front(s, digits, front, o);
}

struct jinja_value *jinja_layout_text(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_spec *o,
				      char usual)
{
	char align = o->align ? o->align : usual;
	struct jinja_value *fill = *o->fill ? jinja_string(s, o->fill, strlen(o->fill), false) : NULL;
	int64_t pad, left;
	struct jinja_build b;

	if (!v)
		return NULL;
	if (align != '^' || o->width > JINJA_WIDTH_MAX)
		return jinja_text_pad(s, v, o->width, fill, align == '>' || align == '=' ? 2 : 1);
	pad = o->width - jinja_length(s, v);
	left = pad / 2;
	jinja_build_init(&b, s, 0);
	for (int64_t i = 0; i < pad; i++) {
		if (i == left)
			jinja_add_string(&b, v);
		jinja_add_word(&b, fill ? o->fill : " ");
	}
	return pad > 0 ? jinja_built(&b) : v;
}
