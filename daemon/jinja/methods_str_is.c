/*
 * The questions among str's methods.
 */
#include "daemon/jinja/rows.h"
#include "daemon/jinja/unicode.h"
#include "daemon/jinja/utf8.h"

static bool every(struct jinja_scratch *s, const struct jinja_value *v, bool (*is)(uint32_t))
{
	size_t len;

	for (size_t i = 0; i < v->n; i += len)
		if (!is(jinja_utf8_get(v->s.p + i, v->n - i, &len)))
			return false;
	return jinja_step(s, v->n / 8);
}

static bool is_alnum(uint32_t c)
{
	return jinja_is_alpha(c) || jinja_is_numeric(c);
}

static bool is_ascii(uint32_t c)
{
	return c < 0x80;
}

static bool is_name(uint32_t c)
{
	return c == '_' || is_alnum(c);
}

#define EVERY(name, is, or_empty)                                                                                   \
	static struct jinja_value *str_##name(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a) \
	{                                                                                                           \
		(void)a;                                                                                            \
		return jinja_bool(s, ((or_empty) || v->n) && every(s, v, is));                                      \
	}

EVERY(isalpha, jinja_is_alpha, false)
EVERY(isalnum, is_alnum, false)
EVERY(isdigit, jinja_is_digit, false)
EVERY(isdecimal, jinja_is_decimal, false)
EVERY(isnumeric, jinja_is_numeric, false)
EVERY(isspace, jinja_is_space, false)
EVERY(isprintable, jinja_is_printable, true)
EVERY(isascii, is_ascii, true)

static struct jinja_value *str_isidentifier(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	(void)a;
	return jinja_bool(s, v->n && !(*v->s.p >= '0' && *v->s.p <= '9') && every(s, v, is_name));
}

static struct jinja_value *str_islower(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return jinja_row_call(s, jinja_test_row("lower", 5), v, a);
}

static struct jinja_value *str_isupper(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	return jinja_row_call(s, jinja_test_row("upper", 5), v, a);
}

/* Words begin with a capital and go on in small letters. */
static struct jinja_value *str_istitle(struct jinja_scratch *s, struct jinja_value *v, struct jinja_args *a)
{
	bool in_word = false, some = false;
	size_t len;

	(void)a;
	for (size_t i = 0; i < v->n && jinja_step(s, 1); i += len) {
		uint32_t c = jinja_utf8_get(v->s.p + i, v->n - i, &len);
		bool is_small = jinja_is_lower(c), is_cased = jinja_is_cased(c);

		if (is_cased && is_small != in_word)
			return jinja_bool(s, false);
		some |= is_cased;
		in_word = is_cased;
	}
	return jinja_bool(s, some);
}

static const struct jinja_row row[] = {
	{ "isalpha", str_isalpha, "", 0, 0 },           { "isalnum", str_isalnum, "", 0, 0 },
	{ "isdigit", str_isdigit, "", 0, 0 },           { "isdecimal", str_isdecimal, "", 0, 0 },
	{ "isnumeric", str_isnumeric, "", 0, 0 },       { "isspace", str_isspace, "", 0, 0 },
	{ "isprintable", str_isprintable, "", 0, 0 },   { "isascii", str_isascii, "", 0, 0 },
	{ "isidentifier", str_isidentifier, "", 0, 0 }, { "islower", str_islower, "", 0, 0 },
	{ "isupper", str_isupper, "", 0, 0 },           { "istitle", str_istitle, "", 0, 0 },
};

const struct jinja_table jinja_methods_str_is = { row, sizeof(row) / sizeof(row[0]) };
