/*
 * Tests: the words behind "is".
 */
#include "daemon/jinja/eval.h"
#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

#define TEST(name, condition)                                                                                        \
	static struct jinja_value *test_##name(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a) \
	{                                                                                                            \
		(void)v;                                                                                             \
		(void)a;                                                                                             \
		return jinja_bool(s, condition);                                                                     \
	}

TEST(defined, v->kind != JINJA_UNDEFINED)
TEST(undefined, v->kind == JINJA_UNDEFINED)
TEST(none, v->kind == JINJA_NONE)
TEST(boolean, v->kind == JINJA_BOOL)
TEST(true, v->kind == JINJA_BOOL && v->i)
TEST(false, v->kind == JINJA_BOOL && !v->i)
TEST(integer, v->kind == JINJA_INT || v->kind == JINJA_BIG)
TEST(float, v->kind == JINJA_FLOAT)
TEST(number, jinja_is_number(v))
TEST(string, v->kind == JINJA_STRING)
TEST(mapping, v->kind == JINJA_DICT)
TEST(sequence, v->kind == JINJA_STRING || v->kind == JINJA_LIST || v->kind == JINJA_TUPLE || v->kind == JINJA_DICT ||
		       v->kind == JINJA_RANGE || v->kind == JINJA_UNDEFINED)
TEST(iterable, v->kind == JINJA_STRING || v->kind == JINJA_DICT || v->kind == JINJA_RANGE ||
		       v->kind == JINJA_UNDEFINED || v->kind == JINJA_LOOP || jinja_is_sequence(v))
TEST(callable, v->kind == JINJA_MACRO || v->kind == JINJA_FUNCTION || v->kind == JINJA_METHOD ||
		       v->kind == JINJA_LOOP || v->kind == JINJA_JOINER || v->kind == JINJA_UNDEFINED)
TEST(escaped, v->kind == JINJA_STRING && (v->flags & JINJA_SAFE))
static bool is_hashable(struct jinja_scratch *s, const struct jinja_value *v)
{
	uint64_t h;

	return jinja_hash(s, v, &h);
}

TEST(filter, is_hashable(s, v) && v->kind == JINJA_STRING && jinja_filter_row(v->s.p, v->n))
TEST(test, is_hashable(s, v) && v->kind == JINJA_STRING && jinja_test_row(v->s.p, v->n))
TEST(eq, jinja_equal(s, v, a->bound[0]))
TEST(ne, !jinja_equal(s, v, a->bound[0]))
TEST(lt, jinja_compare(s, v, a->bound[0], "<") < 0)
TEST(le, jinja_compare(s, v, a->bound[0], "<=") <= 0)
TEST(gt, jinja_compare(s, v, a->bound[0], ">") > 0)
TEST(ge, jinja_compare(s, v, a->bound[0], ">=") >= 0)
TEST(in, jinja_contains(s, a->bound[0], v))

/* The same object. Small ones of equal value are, in Python, too. */
static struct jinja_value *test_sameas(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	const struct jinja_value *w = a->bound[0];
	bool is_small =
		v->kind == JINJA_NONE || v->kind == JINJA_BOOL || v->kind == JINJA_INT || v->kind == JINJA_STRING;

	return jinja_bool(s, v == w || (v->kind == w->kind && is_small && jinja_equal(s, v, w)));
}

/* v % by == r, whatever % makes of them. */
static struct jinja_value *remainder_is(struct jinja_scratch *s, struct jinja_value *v, struct jinja_value *by,
					int64_t r)
{
	const struct jinja_value want = { .kind = JINJA_INT, .i = r }, *is = jinja_operate(s, OP_MOD, v, by);

	return is ? jinja_bool(s, jinja_equal(s, is, &want)) : NULL;
}

static struct jinja_value *test_odd(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value two = { .kind = JINJA_INT, .i = 2 };

	(void)a;
	return remainder_is(s, v, &two, 1);
}

static struct jinja_value *test_even(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	struct jinja_value two = { .kind = JINJA_INT, .i = 2 };

	(void)a;
	return remainder_is(s, v, &two, 0);
}

static struct jinja_value *test_divisibleby(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return remainder_is(s, v, a->bound[0], 0);
}

/* str.islower and str.isupper of the value as text. */
static struct jinja_value *is_case(struct jinja_scratch *s, struct jinja_value *v, bool (*wanted)(uint32_t),
				   bool (*other)(uint32_t))
{
	bool some = false;
	size_t len;

	v = jinja_str(s, v);
	for (size_t i = 0; v && i < v->n && jinja_step(s, 1); i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len);

		if (other(c))
			return jinja_bool(s, false);
		some |= wanted(c);
	}
	return jinja_bool(s, some);
}

static struct jinja_value *test_lower(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return is_case(s, v, jinja_is_lower, jinja_is_upper);
}

static struct jinja_value *test_upper(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return is_case(s, v, jinja_is_upper, jinja_is_lower);
}

static const struct jinja_row row[] = {
	{ "defined", test_defined, "", 0, 0 },
	{ "undefined", test_undefined, "", 0, 0 },
	{ "none", test_none, "", 0, 0 },
	{ "string", test_string, "", 0, 0 },
	{ "mapping", test_mapping, "", 0, 0 },
	{ "iterable", test_iterable, "", 0, 0 },
	{ "sequence", test_sequence, "", 0, 0 },
	{ "boolean", test_boolean, "", 0, 0 },
	{ "true", test_true, "", 0, 0 },
	{ "false", test_false, "", 0, 0 },
	{ "integer", test_integer, "", 0, 0 },
	{ "float", test_float, "", 0, 0 },
	{ "number", test_number, "", 0, 0 },
	{ "callable", test_callable, "", 0, 0 },
	{ "escaped", test_escaped, "", 0, 0 },
	{ "filter", test_filter, "", 0, 0 },
	{ "test", test_test, "", 0, 0 },
	{ "odd", test_odd, "", 0, 0 },
	{ "even", test_even, "", 0, 0 },
	{ "divisibleby", test_divisibleby, "num", 1, 0 },
	{ "lower", test_lower, "", 0, 0 },
	{ "upper", test_upper, "", 0, 0 },
	{ "sameas", test_sameas, "other", 1, 0 },
	{ "in", test_in, "seq", 1, 0 },
	{ "==", test_eq, "b", 1, 0 },
	{ "eq", test_eq, "b", 1, 0 },
	{ "equalto", test_eq, "b", 1, 0 },
	{ "!=", test_ne, "b", 1, 0 },
	{ "ne", test_ne, "b", 1, 0 },
	{ ">", test_gt, "b", 1, 0 },
	{ "gt", test_gt, "b", 1, 0 },
	{ "greaterthan", test_gt, "b", 1, 0 },
	{ ">=", test_ge, "b", 1, 0 },
	{ "ge", test_ge, "b", 1, 0 },
	{ "<", test_lt, "b", 1, 0 },
	{ "lt", test_lt, "b", 1, 0 },
	{ "lessthan", test_lt, "b", 1, 0 },
	{ "<=", test_le, "b", 1, 0 },
	{ "le", test_le, "b", 1, 0 },
};

const struct jinja_row *jinja_test_row(const char *p, size_t n)
{
	static const struct jinja_table table = { row, sizeof(row) / sizeof(row[0]) };

	return jinja_table_find(&table, p, n);
}
