/*
 * Finding rows and calling them.
 */
#include "daemon/jinja/rows.h"

const struct jinja_row *jinja_table_find(const struct jinja_table *t, const char *p, size_t n)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strncmp(t->row[i].name, p, n) && !t->row[i].name[n])
			return &t->row[i];
	return NULL;
}

static const struct jinja_row *find(const struct jinja_table *const *table, size_t n_table, const char *p, size_t n)
{
	const struct jinja_row *row = NULL;

	for (size_t i = 0; i < n_table && !row; i++)
		row = jinja_table_find(table[i], p, n);
	return row;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct jinja_row *jinja_filter_row(const char *p, size_t n)
{
	static const struct jinja_table *const table[] = { &jinja_filters_plain, &jinja_filters_text,
							   &jinja_filters_list,  &jinja_filters_pick,
							   &jinja_filters_wrap,  &jinja_filters_pprint };

	return find(table, COUNT(table), p, n);
}

const struct jinja_row *jinja_method_name(const char *p, size_t n)
{
	static const struct jinja_table *const table[] = { &jinja_methods_str,     &jinja_methods_str_is,
							   &jinja_methods_list,    &jinja_methods_dict,
							   &jinja_methods_str_map, &jinja_methods_int,
							   &jinja_methods_float };

	return find(table, COUNT(table), p, n);
}

const struct jinja_row *jinja_method_of(const struct jinja_value *v, const char *p, size_t n)
{
	const struct jinja_row *row;

	switch (v->kind) {
	case JINJA_STRING:
		row = jinja_table_find(&jinja_methods_str, p, n);
		row = row ? row : jinja_table_find(&jinja_methods_str_is, p, n);
		return row ? row : jinja_table_find(&jinja_methods_str_map, p, n);
	case JINJA_BOOL:
	case JINJA_INT:
		return jinja_table_find(&jinja_methods_int, p, n);
	case JINJA_FLOAT:
		return jinja_table_find(&jinja_methods_float, p, n);
	case JINJA_LIST:
		return jinja_table_find(&jinja_methods_list, p, n);
	case JINJA_TUPLE:
	case JINJA_RANGE:
		return jinja_table_find(&jinja_methods_tuple, p, n);
	case JINJA_DICT:
		return jinja_table_find(&jinja_methods_dict, p, n);
	case JINJA_CYCLER:
		return jinja_table_find(&jinja_methods_cycler, p, n);
	default:
		return NULL;
	}
}

/* The number of a row's parameters, and which of them is named so (or -1). */
static int parameter(const struct jinja_row *row, const struct jinja_value *name, uint32_t *n)
{
	const char *p = row->params;
	int at = -1;

	*n = 0;
	while (*p) {
		size_t len = strcspn(p, " ");

		if (name && name->n == len && !memcmp(name->s.p, p, len))
			at = (int)*n;
		++*n;
		p += len + (p[len] == ' ');
	}
	return at;
}

static bool bind(struct jinja_scratch *s, const struct jinja_row *row, struct jinja_args *a)
{
	uint32_t n_param;

	parameter(row, NULL, &n_param);
	for (uint32_t i = 0; i < JINJA_BOUND_MAX; i++)
		a->bound[i] = i < a->n && i < n_param ? a->at[i] : NULL;
	if (a->n > n_param && !(row->flags & ROW_REST))
		return jinja_fail(s, "%s() takes at most %u argument(s) (%u given)", row->name, n_param, a->n);
	for (uint32_t i = 0; i < a->n_kw; i++) {
		int at = parameter(row, a->key[i], &n_param);

		if (at < 0 && (row->flags & ROW_NAMED))
			continue;
		if (at < 0)
			return jinja_fail(s, "%s() got an unexpected keyword argument '%.*s'", row->name,
					  (int)a->key[i]->n, a->key[i]->s.p);
		if (a->bound[at])
			return jinja_fail(s, "%s() got multiple values for argument '%.*s'", row->name,
					  (int)a->key[i]->n, a->key[i]->s.p);
		a->bound[at] = a->value[i];
	}
	for (uint32_t i = 0; i < row->n_required; i++)
		if (!a->bound[i])
			return jinja_fail(s, "%s() is missing a required argument", row->name);
	return true;
}

struct jinja_value *jinja_row_call(struct jinja_scratch *s, const struct jinja_row *row, struct jinja_value *self,
				   struct jinja_args *a)
{
	struct jinja_value *v;

	if (!bind(s, row, a))
		return NULL;
	v = row->fn(s, self, a);
	return jinja_failed(s) ? NULL : v;
}

static struct jinja_args from_place(const struct jinja_args *a, uint32_t from)
{
	uint32_t n = a->n > from ? a->n - from : 0;

	return (struct jinja_args){
		.at = n ? a->at + from : NULL, .key = a->key, .value = a->value, .n = n, .n_kw = a->n_kw
	};
}

struct jinja_value *jinja_filter_by_name(struct jinja_scratch *s, const struct jinja_value *name, struct jinja_value *v,
					 const struct jinja_args *a, uint32_t from)
{
	const struct jinja_row *row = name->kind == JINJA_STRING ? jinja_filter_row(name->s.p, name->n) : NULL;
	struct jinja_args rest = from_place(a, from);

	if (!row)
		return jinja_fail(s, "No filter named '%.*s'.", name->kind == JINJA_STRING ? (int)name->n : 0,
				  name->kind == JINJA_STRING ? name->s.p : "");
	return jinja_row_call(s, row, v, &rest);
}

int jinja_test_by_name(struct jinja_scratch *s, const struct jinja_value *name, struct jinja_value *v,
		       const struct jinja_args *a, uint32_t from)
{
	const struct jinja_row *row = name->kind == JINJA_STRING ? jinja_test_row(name->s.p, name->n) : NULL;
	struct jinja_args rest = from_place(a, from);
	struct jinja_value *yes;

	if (row) {
		yes = jinja_row_call(s, row, v, &rest);
		return yes ? jinja_truth(yes) : -1;
	}
	jinja_fail(s, "No test named '%.*s'.", name->kind == JINJA_STRING ? (int)name->n : 0,
		   name->kind == JINJA_STRING ? name->s.p : "");
	return -1;
}

int64_t jinja_arg_int(struct jinja_scratch *s, const struct jinja_value *v, int64_t otherwise)
{
	if (!v)
		return otherwise;
	if (jinja_is_int(v))
		return v->i;
	if (v->kind == JINJA_UNDEFINED)
		jinja_fail_undefined(s, v);
	jinja_fail(s, "'%s' object cannot be interpreted as an integer", jinja_type(v));
	return otherwise;
}

bool jinja_arg_true(const struct jinja_value *v, bool otherwise)
{
	return v ? jinja_truth(v) : otherwise;
}

struct jinja_value *jinja_arg_text(struct jinja_scratch *s, struct jinja_value *v)
{
	if (!v || v->kind == JINJA_STRING)
		return v;
	if (v->kind == JINJA_UNDEFINED)
		return jinja_fail_undefined(s, v);
	return jinja_fail(s, "expected a string, not '%s'", jinja_type(v));
}
