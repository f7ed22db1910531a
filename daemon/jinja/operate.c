/*
 * Operators by Python's rules. Integers are 64 bits wide as long as they fit; big.c has the others.
 */
#include "daemon/jinja/big.h"
#include "daemon/jinja/eval.h"
#include "daemon/jinja/format.h"

#include <math.h>

static const char *const symbol[] = { [OP_ADD] = "+",    [OP_SUB] = "-", [OP_MUL] = "*",          [OP_DIV] = "/",
				      [OP_FLOOR] = "//", [OP_MOD] = "%", [OP_POW] = "** or pow()" };

static void *unsupported(struct jinja_scratch *s, enum jinja_op op, const struct jinja_value *a,
			 const struct jinja_value *b)
{
	if (a->kind == JINJA_UNDEFINED || b->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, a->kind == JINJA_UNDEFINED ? a : b);
	if (op == OP_ADD && (a->kind == JINJA_STRING || a->kind == JINJA_LIST || a->kind == JINJA_TUPLE))
		return jinja_fail(s, "can only concatenate %s (not \"%s\") to %s", jinja_type(a), jinja_type(b),
				  jinja_type(a));
	return jinja_fail(s, "unsupported operand type(s) for %s: '%s' and '%s'", symbol[op], jinja_type(a),
			  jinja_type(b));
}

/* false: past 64 bits. */
static bool int_power(int64_t base, int64_t exponent, int64_t *v)
{
	*v = 1;
	for (; exponent; exponent >>= 1) {
		if ((exponent & 1) && __builtin_mul_overflow(*v, base, v))
			return false;
		if (exponent > 1 && __builtin_mul_overflow(base, base, &base))
			return false;
	}
	return true;
}

static struct jinja_value *int_divide(struct jinja_scratch *s, enum jinja_op op, int64_t a, int64_t b)
{
	int64_t q, r;

	if (!b)
		return jinja_fail(s, op == OP_FLOOR ? "integer division or modulo by zero" : "integer modulo by zero");
	q = a / b;
	r = a % b;
	if (r && (r < 0) != (b < 0)) {
		q--;
		r += b;
	}
	return jinja_int(s, op == OP_FLOOR ? q : r);
}

static struct jinja_value *float_divide(struct jinja_scratch *s, enum jinja_op op, double a, double b)
{
	double r, q, floor_q;

	if (b == 0)
		return jinja_fail(s, op == OP_FLOOR ? "float floor division by zero" : "float modulo");
	r = fmod(a, b);
	q = (a - r) / b;
	if (r != 0) {
		if ((b < 0) != (r < 0)) {
			r += b;
			q -= 1;
		}
	} else {
		r = copysign(0, b);
	}
	floor_q = q != 0 ? floor(q) : copysign(0, a / b);
	if (q - floor_q > 0.5)
		floor_q += 1;
	return jinja_float(s, op == OP_FLOOR ? floor_q : r);
}

static struct jinja_value *float_power(struct jinja_scratch *s, double a, double b)
{
	double v;

	if (a == 0 && b < 0)
		return jinja_fail(s, "0.0 cannot be raised to a negative power");
	v = pow(a, b);
	if (isnan(v) && !isnan(a) && !isnan(b))
		return jinja_fail(s, "a root of a negative number");
	if (isinf(v) && !isinf(a) && !isinf(b))
		return jinja_fail(s, "(34, 'Numerical result out of range')");
	return jinja_float(s, v);
}

/* Integers that a double holds exactly. */
static bool is_exact(int64_t i)
{
	return i >= -(INT64_C(1) << 53) && i <= INT64_C(1) << 53;
}

static struct jinja_value *ints(struct jinja_scratch *s, enum jinja_op op, const struct jinja_value *x,
				const struct jinja_value *y)
{
	int64_t v = 0, a = x->i, b = y->i;
	bool over;

	switch (op) {
	case OP_ADD:
		over = __builtin_add_overflow(a, b, &v);
		break;
	case OP_SUB:
		over = __builtin_sub_overflow(a, b, &v);
		break;
	case OP_MUL:
		over = __builtin_mul_overflow(a, b, &v);
		break;
	case OP_DIV:
		if (!b)
			return jinja_fail(s, "division by zero");
		if (is_exact(a) && is_exact(b))
			return jinja_float(s, (double)a / (double)b);
		over = true;
		break;
	case OP_POW:
		if (b < 0)
			return float_power(s, (double)a, (double)b);
		over = !int_power(a, b, &v);
		break;
	default:
		if (b != -1)
			return int_divide(s, op, a, b);
		over = op == OP_FLOOR && __builtin_sub_overflow(0, a, &v);
	}
	return over ? jinja_big_operate(s, op, x, y) : jinja_int(s, v);
}

static struct jinja_value *floats(struct jinja_scratch *s, enum jinja_op op, double a, double b)
{
	switch (op) {
	case OP_ADD:
		return jinja_float(s, a + b);
	case OP_SUB:
		return jinja_float(s, a - b);
	case OP_MUL:
		return jinja_float(s, a * b);
	case OP_DIV:
		return b != 0 ? jinja_float(s, a / b) : jinja_fail(s, "float division by zero");
	case OP_POW:
		return float_power(s, a, b);
	default:
		return float_divide(s, op, a, b);
	}
}

/* One of them is past 64 bits. */
static struct jinja_value *big_ones(struct jinja_scratch *s, enum jinja_op op, struct jinja_value *a,
				    struct jinja_value *b)
{
	bool below = b->kind == JINJA_BIG ? b->s.p[0] == '-' : jinja_is_int(b) && b->i < 0;
	double x = jinja_double(a), y = jinja_double(b);

	if (a->kind != JINJA_FLOAT && b->kind != JINJA_FLOAT && !(op == OP_POW && below))
		return jinja_big_operate(s, op, a, b);
	if ((isinf(x) && a->kind == JINJA_BIG) || (isinf(y) && b->kind == JINJA_BIG))
		return jinja_fail(s, "int too large to convert to float");
	return floats(s, op, x, y);
}

struct jinja_value *jinja_concat(struct jinja_scratch *s, struct jinja_value **part, uint32_t n)
{
	struct jinja_build b;
	size_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += part[i]->n;
	jinja_build_init(&b, s, total);
	for (uint32_t i = 0; i < n; i++)
		jinja_add_string(&b, part[i]);
	return jinja_built(&b);
}

static struct jinja_value *add_text(struct jinja_scratch *s, struct jinja_value *a, struct jinja_value *b)
{
	bool is_safe = (a->flags | b->flags) & JINJA_SAFE;
	struct jinja_value *part[2], *v;

	part[0] = is_safe ? jinja_escape(s, a) : a;
	part[1] = is_safe ? jinja_escape(s, b) : b;
	v = part[0] && part[1] ? jinja_concat(s, part, 2) : NULL;
	if (v && is_safe)
		v->flags |= JINJA_SAFE;
	return v;
}

static struct jinja_value *add_items(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	struct jinja_value *v = jinja_sequence(s, a->kind, (size_t)a->n + b->n);

	if (!v || !jinja_step(s, (a->n + (uint64_t)b->n) / 8))
		return NULL;
	if (a->n)
		memcpy(v->l.at, a->l.at, a->n * sizeof(v));
	if (b->n)
		memcpy(v->l.at + a->n, b->l.at, b->n * sizeof(v));
	v->n = a->n + b->n;
	return v;
}

static struct jinja_value *repeat(struct jinja_scratch *s, struct jinja_value *v, int64_t times)
{
	struct jinja_value *list;
	struct jinja_build b;

	if (v->kind == JINJA_STRING) {
		jinja_build_init(&b, s, 0);
		for (; times > 0 && v->n && jinja_step(s, 1); times--)
			if (!jinja_add_string(&b, v))
				return NULL;
		list = jinja_built(&b);
		if (list)
			list->flags |= v->flags & JINJA_SAFE;
		return list;
	}
	list = jinja_sequence(s, v->kind, 0);
	for (; list && times > 0 && v->n && !jinja_failed(s); times--)
		for (uint32_t i = 0; list && i < v->n && jinja_step(s, 1); i++)
			list = jinja_list_append(s, list, v->l.at[i]);
	return jinja_failed(s) ? NULL : list;
}

static bool repeats(const struct jinja_value *a, const struct jinja_value *b)
{
	return (a->kind == JINJA_STRING || a->kind == JINJA_LIST || a->kind == JINJA_TUPLE) && jinja_is_int(b);
}

struct jinja_value *jinja_operate(struct jinja_scratch *s, enum jinja_op op, struct jinja_value *a,
				  struct jinja_value *b)
{
	if (jinja_is_int(a) && jinja_is_int(b))
		return ints(s, op, a, b);
	if (jinja_is_number(a) && jinja_is_number(b))
		return a->kind == JINJA_BIG || b->kind == JINJA_BIG ? big_ones(s, op, a, b)
								    : floats(s, op, jinja_double(a), jinja_double(b));
	if (op == OP_MOD && a->kind == JINJA_STRING)
		return jinja_percent(s, a, b);
	if (op == OP_ADD && a->kind == JINJA_STRING && b->kind == JINJA_STRING)
		return add_text(s, a, b);
	if (op == OP_ADD && a->kind == b->kind && (a->kind == JINJA_LIST || a->kind == JINJA_TUPLE))
		return add_items(s, a, b);
	if (op == OP_MUL && repeats(a, b))
		return repeat(s, a, b->i);
	if (op == OP_MUL && repeats(b, a))
		return repeat(s, b, a->i);
	return unsupported(s, op, a, b);
}
