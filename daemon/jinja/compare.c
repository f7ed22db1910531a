/*
 * Questions about values: truth, equality, order, membership, length, as Python answers them.
 */
#include "daemon/jinja/big.h"
#include "daemon/jinja/object.h"
#include "daemon/jinja/utf8.h"
#include "daemon/jinja/value.h"

#include <math.h>

static const char *const type_name[JINJA_N_KIND] = {
	[JINJA_UNDEFINED] = "Undefined",
	[JINJA_NONE] = "NoneType",
	[JINJA_BOOL] = "bool",
	[JINJA_INT] = "int",
	[JINJA_BIG] = "int",
	[JINJA_FLOAT] = "float",
	[JINJA_STRING] = "str",
	[JINJA_LIST] = "list",
	[JINJA_TUPLE] = "tuple",
	[JINJA_GENERATOR] = "generator",
	[JINJA_KEYS] = "dict_keys",
	[JINJA_VALUES] = "dict_values",
	[JINJA_ITEMS] = "dict_items",
	[JINJA_DICT] = "dict",
	[JINJA_NAMESPACE] = "TemplateNamespace",
	[JINJA_RANGE] = "range",
	[JINJA_MACRO] = "Macro",
	[JINJA_FUNCTION] = "function",
	[JINJA_METHOD] = "builtin_function_or_method",
	[JINJA_LOOP] = "LoopContext",
	[JINJA_CYCLER] = "Cycler",
	[JINJA_JOINER] = "Joiner",
	[JINJA_SELF] = "TemplateReference",
};

const char *jinja_type(const struct jinja_value *v)
{
	if (v->kind == JINJA_STRING && (v->flags & JINJA_SAFE))
		return "Markup";
	return type_name[v->kind];
}

static const char *described(const struct jinja_value *v)
{
	switch (v->kind) {
	case JINJA_NONE:
		return "None";
	case JINJA_STRING:
		return v->flags & JINJA_SAFE ? "markupsafe.Markup object" : NULL;
	case JINJA_NAMESPACE:
		return "transformers.utils.chat_template_utils.TemplateNamespace object";
	case JINJA_SELF:
		return "jinja2.runtime.TemplateReference object";
	case JINJA_CYCLER:
		return "jinja2.utils.Cycler object";
	case JINJA_JOINER:
		return "jinja2.utils.Joiner object";
	case JINJA_MACRO:
		return "jinja2.runtime.Macro object";
	case JINJA_LOOP:
		return "jinja2.runtime.LoopContext object";
	default:
		return NULL;
	}
}

void *jinja_fail_undefined(struct jinja_scratch *s, const struct jinja_value *v)
{
	const struct jinja_value *name = v->u.name, *o = v->u.object;
	const char *what;

	if (!name)
		return jinja_fail(s, "a value is undefined");
	if (v->flags & JINJA_HINT)
		return jinja_fail(s, "%.*s", (int)name->n, name->s.p);
	if (v->flags & JINJA_UNSAFE)
		return jinja_fail(s, "access to attribute '%.*s' of '%s' object is unsafe.", (int)name->n, name->s.p,
				  jinja_type(o));
	if (!o)
		return jinja_fail(s, "'%.*s' is undefined", (int)name->n, name->s.p);
	what = described(o);
	if (name->kind == JINJA_STRING)
		return jinja_fail(s, "'%s%s' has no attribute '%.*s'", what ? what : jinja_type(o),
				  what ? "" : " object", (int)name->n, name->s.p);
	if (name->kind == JINJA_INT)
		return jinja_fail(s, "%s%s has no element %lld", what ? what : jinja_type(o), what ? "" : " object",
				  (long long)name->i);
	return jinja_fail(s, "%s%s has no such element", what ? what : jinja_type(o), what ? "" : " object");
}

double jinja_double(const struct jinja_value *v)
{
	return v->kind == JINJA_FLOAT ? v->f : v->kind == JINJA_BIG ? jinja_big_double(v) : (double)v->i;
}

bool jinja_truth(const struct jinja_value *v)
{
	switch (v->kind) {
	case JINJA_UNDEFINED:
	case JINJA_NONE:
		return false;
	case JINJA_BOOL:
	case JINJA_INT:
		return v->i;
	case JINJA_FLOAT:
		return v->f != 0;
	case JINJA_STRING:
	case JINJA_LIST:
	case JINJA_TUPLE:
	case JINJA_KEYS:
	case JINJA_VALUES:
	case JINJA_ITEMS:
	case JINJA_DICT:
	case JINJA_RANGE:
		return v->n;
	case JINJA_LOOP:
		return jinja_loop_length(v);
	default:
		return true;
	}
}

/* Values of one family are equal when their contents are. 0: a value equal only to itself. */
static int family(const struct jinja_value *v)
{
	switch (v->kind) {
	case JINJA_LIST:
	case JINJA_TUPLE:
	case JINJA_DICT:
	case JINJA_STRING:
	case JINJA_NONE:
	case JINJA_UNDEFINED:
	case JINJA_RANGE:
	case JINJA_KEYS:
	case JINJA_ITEMS:
		return v->kind + 1;
	default:
		return jinja_is_number(v) ? JINJA_INT + 1 : 0;
	}
}

static bool is_nan(const struct jinja_value *v)
{
	return v->kind == JINJA_FLOAT && isnan(v->f);
}

/* Not NaN: <0, 0, >0, however many digits they have. */
static int order_numbers(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	const double exact = 9007199254740992; /* up to here a double holds every integer */
	double x, y;

	if (jinja_is_int(a) && jinja_is_int(b))
		return (a->i > b->i) - (a->i < b->i);
	x = jinja_double(a);
	y = jinja_double(b);
	if (fabs(x) >= exact && fabs(y) >= exact)
		return jinja_big_compare(s, a, b);
	return (x > y) - (x < y);
}

static bool items_equal(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	bool same = a->n == b->n;

	if (!jinja_enter(s))
		return false;
	for (uint32_t i = 0; same && i < a->n; i++)
		same = jinja_step(s, 1) && jinja_equal(s, a->l.at[i], b->l.at[i]);
	jinja_leave(s);
	return same;
}

static bool members_equal(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	bool same = a->n == b->n;

	if (!jinja_enter(s))
		return false;
	for (uint32_t i = 0; same && i < a->n; i++) {
		const struct jinja_value *other = jinja_step(s, 1) ? jinja_dict_find(s, b, a->d.at[i].key) : NULL;

		same = other && jinja_equal(s, a->d.at[i].value, other);
	}
	jinja_leave(s);
	return same;
}

bool jinja_equal(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	if (a == b)
		return !(a->kind == JINJA_FLOAT && isnan(a->f));
	if (family(a) != family(b) || !family(a))
		return false;
	switch (family(a) - 1) {
	case JINJA_NONE:
	case JINJA_UNDEFINED:
		return true;
	case JINJA_STRING:
		return a->n == b->n && jinja_step(s, a->n / 64) && !memcmp(a->s.p, b->s.p, a->n);
	case JINJA_DICT:
		return members_equal(s, a, b);
	case JINJA_RANGE:
		return a->n == b->n && (!a->n || (a->r.start == b->r.start && (a->n == 1 || a->r.step == b->r.step)));
	case JINJA_INT:
		return !is_nan(a) && !is_nan(b) && !order_numbers(s, a, b) && !jinja_failed(s);
	default:
		return items_equal(s, a, b);
	}
}

static int unordered(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b, const char *op)
{
	if (a->kind == JINJA_UNDEFINED || b->kind == JINJA_UNDEFINED)
		jinja_fail_undefined(s, a->kind == JINJA_UNDEFINED ? a : b);
	jinja_fail(s, "'%s' not supported between instances of '%s' and '%s'", op, jinja_type(a), jinja_type(b));
	return 0;
}

static int order_text(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int c = jinja_step(s, n / 64) && n ? memcmp(a->s.p, b->s.p, n) : 0;

	return c ? c : (a->n > b->n) - (a->n < b->n);
}

static int order_items(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b,
		       const char *op)
{
	int c = 0;
	uint32_t i = 0;

	if (!jinja_enter(s))
		return 0;
	while (i < a->n && i < b->n && jinja_step(s, 1) && jinja_equal(s, a->l.at[i], b->l.at[i]))
		i++;
	if (i < a->n && i < b->n && !jinja_failed(s))
		c = jinja_compare(s, a->l.at[i], b->l.at[i], op);
	else
		c = (a->n > b->n) - (a->n < b->n);
	jinja_leave(s);
	return c;
}

int jinja_compare(struct jinja_scratch *s, const struct jinja_value *a, const struct jinja_value *b, const char *op)
{
	if (jinja_is_number(a) && jinja_is_number(b)) {
		if (is_nan(a) || is_nan(b)) /* false whichever way one asks */
			return *op == '<' ? 1 : -1;
		return order_numbers(s, a, b);
	}
	if (a->kind == JINJA_STRING && b->kind == JINJA_STRING)
		return order_text(s, a, b);
	if (a->kind == b->kind && (a->kind == JINJA_LIST || a->kind == JINJA_TUPLE))
		return order_items(s, a, b, op);
	return unordered(s, a, b, op);
}

static bool text_contains(struct jinja_scratch *s, const struct jinja_value *in, const struct jinja_value *v)
{
	if (v->kind != JINJA_STRING) {
		jinja_fail(s, "'in <string>' requires string as left operand, not %s", jinja_type(v));
		return false;
	}
	return jinja_step(s, in->n / 64) && memmem(in->s.p, in->n, v->s.p, v->n);
}

bool jinja_contains(struct jinja_scratch *s, const struct jinja_value *in, const struct jinja_value *v)
{
	switch (in->kind) {
	case JINJA_STRING:
		return text_contains(s, in, v);
	case JINJA_DICT:
		return jinja_dict_find(s, in, v);
	default: {
		struct jinja_value *list =
			in->kind == JINJA_UNDEFINED || in->kind == JINJA_RANGE || jinja_is_sequence(in)
				? jinja_list_of(s, (struct jinja_value *)in)
				: NULL;

		if (!list) {
			jinja_fail(s, "argument of type '%s' is not iterable", jinja_type(in));
			return false;
		}
		for (uint32_t i = 0; i < list->n && jinja_step(s, 1); i++)
			if (list->l.at[i] == v || jinja_equal(s, list->l.at[i], v))
				return true;
		return false;
	}
	}
}

static struct jinja_value *characters(struct jinja_scratch *s, const struct jinja_value *v)
{
	struct jinja_value *list = jinja_list(s);
	size_t len;

	for (size_t i = 0; list && i < v->n; i += len) {
		jinja_utf8_get(v->s.p + i, v->n - i, &len);
		if (!jinja_step(s, 1))
			return NULL;
		list = jinja_list_append(s, list, jinja_text(s, v->s.p + i, len, jinja_mark_at(v->s.mark, i)));
	}
	return list;
}

static struct jinja_value *keys(struct jinja_scratch *s, const struct jinja_value *v)
{
	struct jinja_value *list = jinja_sequence(s, JINJA_LIST, v->n);

	for (uint32_t i = 0; i < v->n && jinja_step(s, 1); i++)
		list = jinja_list_append(s, list, v->d.at[i].key);
	return list;
}

static struct jinja_value *rest(struct jinja_scratch *s, struct jinja_value *v)
{
	struct jinja_value *list = jinja_new_value(s, JINJA_LIST);

	if (!list)
		return NULL;
	list->n = list->l.cap = v->n - v->l.pos;
	list->l.at = list->n ? v->l.at + v->l.pos : NULL;
	v->l.pos = v->n;
	return list;
}

static struct jinja_value *range_items(struct jinja_scratch *s, const struct jinja_value *v)
{
	struct jinja_value *list = jinja_sequence(s, JINJA_LIST, v->n);

	for (uint32_t i = 0; i < v->n && jinja_step(s, 1); i++)
		list = jinja_list_append(s, list, jinja_int(s, jinja_range_item(v, i)));
	return jinja_failed(s) ? NULL : list;
}

struct jinja_value *jinja_list_of(struct jinja_scratch *s, struct jinja_value *v)
{
	switch (v ? v->kind : JINJA_NONE) {
	case JINJA_GENERATOR:
		return rest(s, v);
	case JINJA_LIST:
	case JINJA_TUPLE:
	case JINJA_KEYS:
	case JINJA_VALUES:
	case JINJA_ITEMS:
		return v;
	case JINJA_UNDEFINED:
		return jinja_list(s);
	case JINJA_STRING:
		return characters(s, v);
	case JINJA_DICT:
		return keys(s, v);
	case JINJA_RANGE:
		return range_items(s, v);
	default:
		return v ? jinja_fail(s, "'%s' object is not iterable", jinja_type(v)) : NULL;
	}
}

int64_t jinja_length(struct jinja_scratch *s, const struct jinja_value *v)
{
	int64_t n = 0;

	switch (v->kind) {
	case JINJA_UNDEFINED:
		return 0;
	case JINJA_STRING:
		if (!jinja_step(s, v->n / 64))
			return -1;
		for (size_t i = 0, len; i < v->n; i += len, n++)
			jinja_utf8_get(v->s.p + i, v->n - i, &len);
		return n;
	case JINJA_LIST:
	case JINJA_TUPLE:
	case JINJA_KEYS:
	case JINJA_VALUES:
	case JINJA_ITEMS:
	case JINJA_DICT:
	case JINJA_RANGE:
		return v->n;
	case JINJA_LOOP:
		return jinja_loop_length(v);
	default:
		jinja_fail(s, "object of type '%s' has no len()", jinja_type(v));
		return -1;
	}
}
