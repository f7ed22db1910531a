/*
 * Signs and magnitudes, in limbs of nine decimal digits: digits are read and shown far oftener than they are computed with.
 */
#include "daemon/jinja/big.h"

#include "daemon/jinja/object.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMB        1000000000u
#define LIMB_DIGITS 9u
#define LIMBS_MAX   (JINJA_DIGITS_MAX / LIMB_DIGITS + 2)
#define POWER_MAX   (JINJA_DIGITS_MAX * 4) /* 2 to this has more digits */

struct big {
	uint32_t *d; /* [n] the least first; n 0: zero */
	uint32_t n;
	bool negative;
};

static const struct big none = { 0 };

/* Room for n limbs, all of them zero. */
static struct big room(struct jinja_scratch *s, uint32_t n)
{
	struct big b = { jinja_alloc(s, n * sizeof(uint32_t)), n, false };

	if (!b.d)
		return none;
	memset(b.d, 0, n * sizeof(uint32_t));
	return b;
}

static struct big trimmed(struct big b)
{
	while (b.n && !b.d[b.n - 1])
		b.n--;
	b.negative = b.negative && b.n;
	return b;
}

static struct big of_digits(struct jinja_scratch *s, const char *p, size_t n, bool negative)
{
	struct big b = room(s, (uint32_t)(n / LIMB_DIGITS) + 1);

	for (size_t i = 0; b.n && i < n; i++) {
		size_t place = n - 1 - i;
		uint32_t *limb = &b.d[place / LIMB_DIGITS];

		*limb = *limb * 10 + (uint32_t)(p[i] - '0');
	}
	b.negative = negative;
	return trimmed(b);
}

static struct big of_value(struct jinja_scratch *s, const struct jinja_value *v)
{
	char text[24];
	int n;

	if (v->kind == JINJA_BIG) {
		bool negative = v->s.p[0] == '-';

		jinja_step(s, v->n / 8);
		return of_digits(s, v->s.p + negative, v->n - negative, negative);
	}
	n = snprintf(text, sizeof(text), "%lld", (long long)v->i);
	return of_digits(s, text + (v->i < 0), (size_t)(n - (v->i < 0)), v->i < 0);
}

/* Its digits, with a sign: text of *n bytes. NULL: failed. */
static char *text_of(struct jinja_scratch *s, struct big b, size_t *n)
{
	char *text = jinja_alloc(s, (size_t)b.n * LIMB_DIGITS + 3), *p = text;

	if (!text || !jinja_step(s, b.n))
		return NULL;
	if (b.negative)
		*p++ = '-';
	p += sprintf(p, "%u", b.n ? b.d[b.n - 1] : 0);
	for (uint32_t i = b.n; i > 1; i--)
		p += sprintf(p, "%09u", b.d[i - 2]);
	*n = (size_t)(p - text);
	return text;
}

static struct jinja_value *value_of(struct jinja_scratch *s, struct big b)
{
	__int128 small = 0;
	struct jinja_value *v;
	size_t n;
	char *text;

	b = trimmed(b);
	for (uint32_t i = b.n; b.n <= 3 && i; i--)
		small = small * LIMB + b.d[i - 1];
	small = b.negative ? -small : small;
	if (jinja_failed(s))
		return NULL;
	if (b.n <= 3 && small >= INT64_MIN && small <= INT64_MAX)
		return jinja_int(s, (int64_t)small);
	text = text_of(s, b, &n);
	if (!text)
		return NULL;
	if (n - b.negative > JINJA_DIGITS_MAX)
		return jinja_fail(s, "an integer past %u digits", JINJA_DIGITS_MAX);
	v = jinja_text(s, text, n, NULL);
	if (v)
		v->kind = JINJA_BIG;
	return v;
}

static int compare_sizes(struct big a, struct big b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	for (uint32_t i = a.n; i; i--)
		if (a.d[i - 1] != b.d[i - 1])
			return a.d[i - 1] < b.d[i - 1] ? -1 : 1;
	return 0;
}

/* |a| + |b| */
static struct big sum(struct jinja_scratch *s, struct big a, struct big b)
{
	struct big c = room(s, (a.n > b.n ? a.n : b.n) + 1);
	uint32_t carry = 0;

	for (uint32_t i = 0; i < c.n; i++) {
		uint32_t x = carry + (i < a.n ? a.d[i] : 0) + (i < b.n ? b.d[i] : 0);

		carry = x >= LIMB;
		c.d[i] = carry ? x - LIMB : x;
	}
	return trimmed(c);
}

/* |a| - |b|, which is not below zero */
static struct big difference(struct jinja_scratch *s, struct big a, struct big b)
{
	struct big c = room(s, a.n);
	int64_t borrow = 0;

	for (uint32_t i = 0; i < c.n; i++) {
		int64_t x = (int64_t)a.d[i] - (i < b.n ? b.d[i] : 0) - borrow;

		borrow = x < 0;
		c.d[i] = (uint32_t)(borrow ? x + LIMB : x);
	}
	return trimmed(c);
}

static struct big add(struct jinja_scratch *s, struct big a, struct big b)
{
	struct big c;

	jinja_step(s, (a.n + b.n) / 4);
	if (a.negative == b.negative) {
		c = sum(s, a, b);
		c.negative = a.negative;
		return trimmed(c);
	}
	if (compare_sizes(a, b) < 0) {
		c = difference(s, b, a);
		c.negative = b.negative;
		return trimmed(c);
	}
	c = difference(s, a, b);
	c.negative = a.negative;
	return trimmed(c);
}

static struct big negated(struct big b)
{
	b.negative = !b.negative;
	return trimmed(b);
}

static struct big multiply(struct jinja_scratch *s, struct big a, struct big b)
{
	struct big c;

	if (!a.n || !b.n || !jinja_step(s, (uint64_t)a.n * b.n / 16))
		return none;
	c = room(s, a.n + b.n);
	for (uint32_t i = 0; c.n && i < a.n; i++) {
		uint64_t carry = 0;

		for (uint32_t k = 0; k < b.n; k++) {
			carry += (uint64_t)a.d[i] * b.d[k] + c.d[i + k];
			c.d[i + k] = (uint32_t)(carry % LIMB);
			carry /= LIMB;
		}
		c.d[i + b.n] = (uint32_t)carry;
	}
	c.negative = a.negative != b.negative;
	return trimmed(c);
}

/* r, in [0, by * LIMB), less by times as often as it fits; r has one limb more than by. Returns how often. */
static uint32_t reduce(uint32_t *r, struct big by)
{
	uint32_t n = by.n;
	uint64_t low = n > 1 ? by.d[n - 2] : 0, part = (uint64_t)by.d[n - 1] * LIMB + low;
	unsigned __int128 top = ((unsigned __int128)r[n] * LIMB + r[n - 1]) * LIMB + (n > 1 ? r[n - 2] : 0);
	uint64_t q = (uint64_t)(top / part), carry = 0;
	int64_t above;

	q = q < LIMB ? q : LIMB - 1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t less;

		carry += q * by.d[i];
		less = (uint32_t)(carry % LIMB);
		carry = carry / LIMB + (r[i] < less);
		r[i] = r[i] < less ? r[i] + LIMB - less : r[i] - less;
	}
	for (above = (int64_t)r[n] - (int64_t)carry; above < 0; q--) { /* the guess was one too many */
		uint32_t over = 0;

		for (uint32_t i = 0; i < n; i++) {
			uint32_t x = r[i] + by.d[i] + over;

			over = x >= LIMB;
			r[i] = over ? x - LIMB : x;
		}
		above += over;
	}
	r[n] = (uint32_t)above;
	return (uint32_t)q;
}

/* |a| / |b| -> *q, *r; b is not zero */
static bool divide(struct jinja_scratch *s, struct big a, struct big b, struct big *q, struct big *r)
{
	*q = *r = none;
	if (compare_sizes(a, b) < 0) {
		*r = a;
		r->negative = false;
		return true;
	}
	if (!jinja_step(s, (uint64_t)(a.n - b.n + 1) * b.n / 8))
		return false;
	*q = room(s, a.n - b.n + 1);
	*r = room(s, a.n + 1);
	if (!q->n || !r->n)
		return false;
	memcpy(r->d, a.d, a.n * sizeof(*a.d));
	for (uint32_t i = a.n - b.n + 1; i; i--)
		q->d[i - 1] = reduce(r->d + i - 1, b);
	*q = trimmed(*q);
	*r = trimmed(*r);
	return true;
}

/* Towards minus infinity, as Python does. */
static struct jinja_value *floor_divide(struct jinja_scratch *s, enum jinja_op op, struct big a, struct big b)
{
	const struct jinja_value one = { .kind = JINJA_INT, .i = 1 };
	struct big q, r;

	if (!divide(s, a, b, &q, &r))
		return NULL;
	if (r.n && a.negative != b.negative) {
		q = sum(s, q, of_value(s, &one));
		r = difference(s, b, r);
	}
	q.negative = a.negative != b.negative;
	r.negative = b.negative;
	return value_of(s, op == OP_FLOOR ? q : r);
}

static struct big power(struct jinja_scratch *s, struct big base, uint64_t exponent, uint32_t limbs_max)
{
	const struct jinja_value one = { .kind = JINJA_INT, .i = 1 };
	struct big p = of_value(s, &one);

	for (; exponent && !jinja_failed(s); exponent >>= 1) {
		if (exponent & 1)
			p = multiply(s, p, base);
		if (exponent > 1)
			base = multiply(s, base, base);
		if (p.n > limbs_max || (exponent > 1 && base.n > limbs_max))
			jinja_fail(s, "an integer past %u digits", JINJA_DIGITS_MAX);
	}
	return p;
}

/* The nearest double: the quotient of enough bits, odd where something is left, is rounded once. */
static struct jinja_value *true_divide(struct jinja_scratch *s, struct big a, struct big b)
{
	const struct jinja_value two = { .kind = JINJA_INT, .i = 2 };
	int64_t shift = 66 + 30 * (int64_t)b.n - 29 * ((int64_t)a.n - 1);
	bool negative = a.negative != b.negative;
	struct big q, r;
	size_t n;
	char *text;
	double f;

	shift = shift > 0 ? shift : 0;
	a = multiply(s, a, power(s, of_value(s, &two), (uint64_t)shift, UINT32_MAX));
	if (jinja_failed(s) || !divide(s, a, b, &q, &r))
		return NULL;
	if (r.n && q.n)
		q.d[0] |= 1;
	text = text_of(s, q, &n);
	if (!text)
		return NULL;
	f = ldexp(strtod(text, NULL), -(int)shift);
	if (isinf(f))
		return jinja_fail(s, "integer division result too large for a float");
	return jinja_float(s, negative ? -f : f);
}

/* To a power that is not below zero. */
static struct jinja_value *raised(struct jinja_scratch *s, struct big a, struct big exponent)
{
	uint64_t times = exponent.n ? exponent.d[0] : 0;

	if (a.n <= 1 && exponent.n && (!a.n || a.d[0] == 1)) /* 0, 1, or -1 to whatever power */
		return value_of(s, a.negative && !(times & 1) ? negated(a) : a);
	if (exponent.n > 1 || times > POWER_MAX)
		return jinja_fail(s, "an integer past %u digits", JINJA_DIGITS_MAX);
	return value_of(s, power(s, a, times, 2 * LIMBS_MAX));
}

struct jinja_value *jinja_big_operate(struct jinja_scratch *s, enum jinja_op op, const struct jinja_value *a,
				      const struct jinja_value *b)
{
	struct big x = of_value(s, a), y = of_value(s, b);

	if (jinja_failed(s))
		return NULL;
	switch (op) {
	case OP_ADD:
		return value_of(s, add(s, x, y));
	case OP_SUB:
		return value_of(s, add(s, x, negated(y)));
	case OP_MUL:
		return value_of(s, multiply(s, x, y));
	case OP_POW:
		return raised(s, x, y);
	default:
		if (!y.n)
			return jinja_fail(s, "division by zero");
		return op == OP_DIV ? true_divide(s, x, y) : floor_divide(s, op, x, y);
	}
}

struct jinja_value *jinja_big_parse(struct jinja_scratch *s, const char *p, size_t n, unsigned base)
{
	bool negative = n && *p == '-';
	size_t i = n && (*p == '-' || *p == '+');
	struct big b = room(s, (uint32_t)((n * 2) / LIMB_DIGITS) + 1); /* a digit of base 36 takes 1.6 decimal ones */
	uint32_t used = 1;

	if (!b.n || !jinja_step(s, n * n / 128))
		return NULL;
	for (; i < n; i++) {
		int c = p[i] | 32;
		uint64_t carry = (uint64_t)(c <= '9' ? p[i] - '0' : c - 'a' + 10);

		for (uint32_t k = 0; k < used; k++) {
			carry += (uint64_t)b.d[k] * base;
			b.d[k] = (uint32_t)(carry % LIMB);
			carry /= LIMB;
		}
		if (carry)
			b.d[used++] = (uint32_t)carry;
	}
	b.negative = negative;
	return value_of(s, b);
}

struct jinja_value *jinja_big_of_double(struct jinja_scratch *s, double f)
{
	char text[400];
	int n = snprintf(text, sizeof(text), "%.0f", trunc(f));

	return jinja_big_parse(s, text, (size_t)n, 10);
}

struct jinja_value *jinja_big_digits(struct jinja_scratch *s, const struct jinja_value *v, unsigned base, bool upper)
{
	const char *digit = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	struct big b = of_value(s, v);
	size_t cap = (size_t)b.n * 30 + 1, n = cap; /* a limb is less than 2 to the 30th */
	char *text = jinja_alloc(s, cap);

	if (!text || !jinja_step(s, cap * b.n / 16))
		return NULL;
	do {
		uint64_t rest = 0;

		for (uint32_t i = b.n; i; i--) {
			rest = rest * LIMB + b.d[i - 1];
			b.d[i - 1] = (uint32_t)(rest / base);
			rest %= base;
		}
		text[--n] = digit[rest];
		b = trimmed(b);
	} while (b.n);
	return jinja_text(s, text + n, cap - n, NULL);
}

static int compare(struct big a, struct big b)
{
	int c;

	if (a.negative != b.negative)
		return a.negative ? -1 : 1;
	c = compare_sizes(a, b);
	return a.negative ? -c : c;
}

/* An integer with a double. */
static int compare_double(struct jinja_scratch *s, const struct jinja_value *a, double f)
{
	struct jinja_value *whole;
	int c;

	if (isinf(f))
		return f < 0 ? 1 : -1;
	whole = jinja_big_of_double(s, f);
	c = whole ? compare(of_value(s, a), of_value(s, whole)) : 0;
	return c ? c : (f < trunc(f)) - (f > trunc(f));
}

int jinja_big_compare(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	if (a->kind == JINJA_FLOAT && b->kind == JINJA_FLOAT)
		return (a->f > b->f) - (a->f < b->f);
	if (a->kind == JINJA_FLOAT)
		return -compare_double(s, b, a->f);
	if (b->kind == JINJA_FLOAT)
		return compare_double(s, a, b->f);
	return compare(of_value(s, a), of_value(s, b));
}
