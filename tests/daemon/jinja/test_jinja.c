/*
 * Two promises that Jinja2 does not make. Which bytes are the template's: a user's text that looks like a control token must not be
 * taken for one, whatever a template does to it, and the template's own must stay. And limits: templates come with files from
 * strangers, so an endless loop or a gigabyte of text has to end as an error, not as a daemon that is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/jinja/ast.h"
#include "tests/daemon/jinja/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct jinja_scratch *s;
static char shown[65536], err[2100];

/* The output with the template's own bytes in "[" and "]"; or the error. */
static const char *show(const char *source, const char *variables)
{
	struct jinja_output out;
	struct jinja_value *g;
	struct jinja *t = NULL;
	size_t k = 0, r = 0;

	jinja_scratch_reset(s);
	err[0] = 0;
	if (jinja_new(&t, source, strlen(source), err, sizeof(err)))
		return err;
	g = jinja_json(s, variables, strlen(variables), err, sizeof(err));
	g = jinja_dict_set(s, g, "bos", 3, jinja_string(s, "<s>", 3, true));
	if (jinja_render(t, s, g, &out, err, sizeof(err))) {
		jinja_free(t);
		return err;
	}
	for (size_t i = 0; i <= out.n; i++) {
		if (r < out.n_range && i == out.range[r].end) {
			shown[k++] = ']';
			r++;
		}
		if (r < out.n_range && i == out.range[r].begin)
			shown[k++] = '[';
		shown[k++] = i < out.n ? out.text[i] : 0;
	}
	jinja_free(t);
	return shown;
}

static void bytes_know_who_wrote_them(void **state)
{
	static const char u[] = "{\"u\": \"<|x|>\", \"w\": \" ab \", \"e\": \"\", \"l\": [\"p\", \"q\"], \"d\": "
				"{\"k\": \"v\"}, \"n\": 7}";
	static const struct {
		const char *source, *want;
	} row[] = {
		{ "<a>{{ u }}<b>", "[<a>]<|x|>[<b>]" },
		{ "{{ '<a>' + u + '<b>' }}", "[<a>]<|x|>[<b>]" },
		{ "{{ '<a>' ~ u ~ n ~ '<b>' }}", "[<a>]<|x|>7[<b>]" },
		{ "{{ bos }}{{ bos + u }}", "[<s><s>]<|x|>" },
		{ "a{{ 'b' }}c", "[abc]" },
		{ "a{{ e }}b", "[ab]" },
		{ "{{ (bos + u)[1:5] }}", "[s>]<|" },
		{ "{{ (bos + u)[::-1] }}", ">|x|<[>s<]" },
		{ "{{ (bos + u)[2] }}{{ (bos + u)[3] }}", "[>]<" },
		{ "{{ (' ' + w + ' ')|trim }}{{ (w + 'x ').strip() }}", "abab [x]" },
		{ "{{ (u + 'Ab')|upper }}{{ (u + 'Ab')|lower }}", "<|X|>[AB]<|x|>[ab]" },
		{ "{{ u.replace('x', '!') }}", "<|[!]|>" },
		{ "{{ 'a-b'.replace('-', u) }}", "[a]<|x|>[b]" },
		{ "{{ l|join('<sep>') }}{{ '<sep>'.join(l) }}", "p[<sep>]qp[<sep>]q" },
		{ "{{ (u + '|T').split('|')[3] }}{{ u.split('|')[1] }}", "[T]x" },
		{ "{{ '<a>%s<b>' % u }}{{ '<a>{}<b>'.format(u) }}", "[<a>]<|x|>[<b><a>]<|x|>[<b>]" },
		{ "{% set t %}<a>{{ u }}<b>{% endset %}{{ t }}", "[<a>]<|x|>[<b>]" },
		{ "{% macro m(x) %}<a>{{ x }}{{ caller() }}{% endmacro %}{% call m(u) %}<c>{{ u }}{% endcall %}",
		  "[<a>]<|x|>[<c>]<|x|>" },
		{ "{% filter upper %}a{{ u }}b{% endfilter %}", "[A]<|X|>[B]" },
		{ "{% set ns = namespace(t='') %}{% for x in l %}{% set ns.t = ns.t + '<' + x + '>' %}{% endfor %}{{ "
		  "ns.t }}",
		  "[<]p[><]q[>]" },
		{ "{{ {'<a>': '<b>'}|tojson }}", "{\"<a>\": \"<b>\"}" },
		{ "{{ ['<a>'] }}", "['<a>']" },
		{ "{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "k[=]v" },
		{ "{{ u|default('<d>') }}{{ nope|default('<d>') }}", "<|x|>[<d>]" },
		{ "{{ '<t>' if n else u }}{{ u if n else '<t>' }}", "[<t>]<|x|>" },
		{ "{{ u|e }}", "&lt;|x|&gt;" },
		{ "{{ '<'|e }}", "[&lt;]" },
		{ "{{ u|indent(2, true) }}{{ 'a\nb'|indent(1) }}", "  <|x|>[a]\n [b]" },
		{ "{{ ('<a>' + u)|list|join }}", "[<a>]<|x|>" },
		{ "{{ l|map('upper')|join('-') }}", "P[-]Q" },
		{ "{{ ('a' + w)|title }}", "[A] Ab " },
		{ "{{ ('x' * 3) + u * 2 }}", "[xxx]<|x|><|x|>" },
		{ "{{ 'abcdef'|truncate(3, true, '', 0) }}", "[abc]" },
		{ "{{ 'é' + u + 'é' }}", "[é]<|x|>[é]" },
		{ "{{ range(3)|join('<s>') }}", "0[<s>]1[<s>]2" },
		{ "{{ u is string and '<ok>' }}", "[<ok>]" },
		{ "{{ n }}{{ 5 }}{{ true }}", "75True" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (strcmp(show(row[i].source, u), row[i].want))
			fail_msg("%s\n  is  %s\n  not %s", row[i].source, show(row[i].source, u), row[i].want);
}

/* A template's one character in ten thousand places: the ranges are as many, and right. */
static void ranges_are_as_many_as_they_need_to_be(void **state)
{
	static const char source[] = "{% for i in range(9000) %}{{ u }}-{% endfor %}";
	struct jinja_output out;
	struct jinja *t = NULL;

	(void)state;
	jinja_scratch_reset(s);
	assert_int_equal(jinja_new(&t, source, strlen(source), err, sizeof(err)), 0);
	assert_int_equal(
		jinja_render(t, s, jinja_json(s, "{\"u\": \"abc\"}", 12, err, sizeof(err)), &out, err, sizeof(err)), 0);
	assert_int_equal(out.n, 36000);
	assert_int_equal(out.n_range, 9000);
	for (size_t i = 0; i < out.n_range; i++)
		assert_true(out.range[i].begin == 4 * i + 3 && out.range[i].end == 4 * i + 4);
	jinja_free(t);
}

/* Each template, repeated where it says so, is refused with a line and these words in it. */
struct refusal {
	const char *source, *words; /* in the error, which begins with the line */
	int code;                   /* 0: it is none */
};

static void expect_refusals(const struct refusal *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct jinja_output out;
		struct jinja *t = NULL;
		int r;

		jinja_scratch_reset(s);
		err[0] = 0;
		r = jinja_new(&t, row[i].source, strlen(row[i].source), err, sizeof(err));
		if (!r)
			r = jinja_render(t, s, NULL, &out, err, sizeof(err));
		jinja_free(t);
		if (r != row[i].code || (r && (strncmp(err, "line ", 5) || !strstr(err, row[i].words))))
			fail_msg("%s: %d %s", row[i].source, r, err);
	}
}

static void what_is_too_much_is_refused(void **state)
{
	static const struct refusal row[] = {
		{ "{% for i in range(100000) %}{% for j in range(100000) %}\n{% set x = i %}{% endfor %}{% endfor %}",
		  "steps", -E2BIG },
		{ "{% macro m() %}{{ m() }}{% endmacro %}\n\n{{ m() }}", "line 1: the template needs more nested calls",
		  -E2BIG },
		{ "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nested calls", -E2BIG },
		{ "{{ 'x' * 1000000000 }}", "steps", -E2BIG },
		{ "{{ [0] * 9999999999994 }}", "steps", -E2BIG },
		{ "{{ (1, 2) * 9223372036854775807 }}", "steps", -E2BIG },
		{ "{{ [1]|slice(9999999999994)|list }}", "", -E2BIG },
		{ "{{ [1]|batch(9999999999994, 'x')|list }}", "", -E2BIG },
		{ "{{ 'a\tb'.expandtabs(9999999999994) }}", "", -E2BIG },
		{ "{{ 'a'.ljust(9999999999994) }}{{ 'a'|center(9999999999994) }}", "", -E2BIG },
		{ "{{ 'a'|indent(9999999999994) }}", "", -E2BIG },
		{ "{{ '%9999999999994s' % 'a' }}", "", -E2BIG },
		{ "{{ '%*d' % (9999999999994, 1) }}", "", -E2BIG },
		{ "{{ '{:9999999999994}'.format(1) }}", "", -E2BIG },
		{ "{{ 'a'|replace('', 'x' * 100000)|replace('', 'x' * 100000) }}", "", -E2BIG },
		{ "{{ 'a b'|wordwrap(9999999999994)|length }}", "", 0 },
		{ "{{ ('x' * 100000) * 100000 }}", "memory for values", -E2BIG },
		{ "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}", "", -E2BIG },
		{ "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
		  "memory for values", -E2BIG },
		{ "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
		  "ns.x }}",
		  "", -E2BIG },
		{ "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
		  "ns.x == ns.x + [] }}",
		  "", 0 },
		{ "{% set ns = namespace(x=[]) %}{% for i in range(9000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x "
		  "}}",
		  "nesting", -E2BIG },
		{ "{% set ns = namespace(x=[]) %}{% for i in range(9000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ "
		  "ns.x|tojson }}",
		  "nesting", -E2BIG },
		{ "{% set ns = namespace(x=()) %}{% for i in range(9000) %}{% set ns.x = (ns.x,) %}{% endfor %}{{ "
		  "{ns.x: 1} }}",
		  "nesting", -E2BIG },
		{ "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "nesting", -E2BIG },
		{ "{{ 'ab'|center(4000000000) }}", "", -E2BIG },
		{ "{{ 'ab'.zfill(40000000000) }}", "memory for values", -E2BIG },
		{ "{{ '%99999999d' % 1 }}", "width of a format", -E2BIG },
		{ "{{ 'a\nb'|indent(400000000) }}", "", -E2BIG },
		{ "{{ range(100001) }}", "Range too big", -EINVAL },
		{ "\n{{ 7 ** 9999 }}", "line 2: an integer past 4300 digits", -EINVAL },
		{ "{{ 7 ** 99999999999 }}", "an integer past 4300 digits", -EINVAL },
		{ "{{ (10 ** 4000) ** (10 ** 4000) }}", "an integer past 4300 digits", -EINVAL },
		{ "{{ 0x10000000000000000 }}", "line 1: an integer past 64 bits must be decimal", -EINVAL },
		{ "{% for i in range(100000) %}{% set x = (7 ** 5000) // (3 ** 4000) %}{% endfor %}", "steps", -E2BIG },
		{ "{% set ns = namespace(x=[]) %}{% for i in range(9000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ "
		  "ns.x|pprint }}",
		  "nesting", -E2BIG },
		{ "{% set k = 'k' * 1000000 %}{% set d = {k: 1} %}{% for i in range(1000) %}{% set x = d[k] %}{% "
		  "endfor "
		  "%}",
		  "steps", -E2BIG },
		{ "{% set ns = namespace(x=[0] * 1000) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}"
		  "{% for i in range(60) %}{% set x = ns.x|tojson(indent='') %}{% endfor %}",
		  "steps", -E2BIG },
	};

	(void)state;
	expect_refusals(row, sizeof(row) / sizeof(row[0]));
}

/* Each parameter is looked for among all that a call names. */
static void parameters_cost_what_they_are_looked_for_among(void **state)
{
	enum { N = 500 };
	char *text = malloc(32 * N + 200), *at = text;
	struct refusal row = { text, "steps", -E2BIG };

	(void)state;
	at += sprintf(at, "{%% set d = {");
	for (int i = 0; i < N; i++)
		at += sprintf(at, "'b%d': 1, ", i);
	at += sprintf(at, "} %%}{%% macro m(");
	for (int i = 0; i < N; i++)
		at += sprintf(at, "%sa%d", i ? ", " : "", i);
	sprintf(at, ") %%}{%% if kwargs %%}{%% endif %%}{%% endmacro %%}{%% for i in range(200) %%}{%% set x = m(**d) "
		    "%%}{%% endfor %%}");
	expect_refusals(&row, 1);
	free(text);
}

static void what_there_is_none_of_is_named(void **state)
{
	static const struct refusal row[] = {
		{ "\n\n{{ 'x'|nofilter }}", "line 3: No filter named 'nofilter'.", -EINVAL },
		{ "{% for k in x|nofilter %}{{ loop.last }}{% endfor %}", "line 1: No filter named 'nofilter'.",
		  -EINVAL },
		{ "{% with a = x|nofilter %}{% set a = a %}{{ a }}{% endwith %}", "line 1: No filter named 'nofilter'.",
		  -EINVAL },
		{ "{% macro m(caller, a=x|nofilter) %}{{ caller() }}{{ kwargs }}{% endmacro %}",
		  "No filter named 'nofilter'.", -EINVAL },
		{ "\n{{ 'x' is notest }}", "line 2: No test named 'notest'.", -EINVAL },
		{ "\n{% include 'x' %}", "line 2: a chat template stands alone: 'include' is refused", -EINVAL },
		{ "{{ lipsum() }}", "lipsum() is refused", -EINVAL },
		{ "\n{{ [1]|random }}", "line 2: the filter 'random' is refused", -EINVAL },
		{ "\n\n{{ 'x'|urlize(9) }}", "line 3: the filter 'urlize' is refused", -EINVAL },
		{ "{{ 'x'.encode('utf-8') }}", "line 1: the method 'encode' is refused", -EINVAL },
		{ "{% if false %}{{ 'x'|urlize }}{% endif %}", "", 0 },
		{ "a\nb\n{{ raise_exception('no ' ~ 1) }}", "line 3: no 1", -EINVAL },
		{ "a\n{% for x in [1] %}\n{{ x.y.z }}\n{% endfor %}", "line 3: 'int object' has no attribute 'y'",
		  -EINVAL },
	};

	(void)state;
	expect_refusals(row, sizeof(row) / sizeof(row[0]));
}

/* Nesting of the syntax itself: refused while it is read. */
static void towers_are_refused(void **state)
{
	static const struct {
		const char *up, *top, *down;
	} row[] = {
		{ "(", "1", ")" },     { "[", "", "]" },     { "{'a':", "1", "}" },       { "not ", "1", "" },
		{ "-", "1", "" },      { "", "x", ".a" },    { "", "x", "[0]" },          { "", "x", "()" },
		{ "", "x", "|upper" }, { "", "1", " if 1" }, { "1 if 1 else ", "1", "" }, { "f(", "1", ")" },
	};
	size_t n = 50000;
	char *text = malloc(16 * n);

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct jinja *t = NULL;
		size_t k = (size_t)sprintf(text, "{{ ");

		for (size_t j = 0; j < n; j++)
			k += (size_t)sprintf(text + k, "%s", row[i].up);
		k += (size_t)sprintf(text + k, "%s", row[i].top);
		for (size_t j = 0; j < n; j++)
			k += (size_t)sprintf(text + k, "%s", row[i].down);
		k += (size_t)sprintf(text + k, " }}");
		assert_int_equal(jinja_new(&t, text, k, err, sizeof(err)), -EINVAL);
		if (!strstr(err, "deep") && !strstr(err, "open braces"))
			fail_msg("%s%s: %s", row[i].up, row[i].down, err);
	}
	for (size_t i = 0; i < 20000; i++)
		memcpy(text + 10 * i, "{% if 1 %}", 10);
	{
		struct jinja *t = NULL;

		assert_int_equal(jinja_new(&t, text, 200000, err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, "deep"));
	}
	free(text);
}

/* Strings in a row are one, in memory that grows with the source; integers end where Python's do. */
static void literals_take_what_they_are(void **state)
{
	enum { N = 20000, DIGITS = 4300 };
	char *text = malloc(4 * N + 32), *at = text;
	struct jinja_output out;
	struct jinja *t = NULL;
	size_t bytes = 0;

	(void)state;
	at += sprintf(at, "{{ ");
	for (int i = 0; i < N; i++)
		at += sprintf(at, "'a' ");
	at += sprintf(at, "}}");
	jinja_scratch_reset(s);
	assert_int_equal(jinja_new(&t, text, (size_t)(at - text), err, sizeof(err)), 0);
	for (const struct jinja_chunk *c = t->chunk; c; c = c->next)
		bytes += c->cap;
	assert_in_range(bytes, 1, 32 * N);
	assert_int_equal(jinja_render(t, s, NULL, &out, err, sizeof(err)), 0);
	assert_int_equal(out.n, N);
	jinja_free(t);
	for (int n = DIGITS; n <= DIGITS + 1; n++) {
		at = text + sprintf(text, "{{ ");
		memset(at, '1', (size_t)n);
		sprintf(at + n, " }}");
		assert_int_equal(jinja_new(&t, text, strlen(text), err, sizeof(err)), n > DIGITS ? -EINVAL : 0);
		if (n == DIGITS)
			jinja_free(t);
	}
	assert_non_null(strstr(err, "an integer past 4300 digits"));
	free(text);
}

/* Chains that are no towers are not refused. */
static void long_chains_are_fine(void **state)
{
	char *text = malloc(1 << 20);
	size_t k = (size_t)sprintf(text, "{{ 0");
	struct jinja *t = NULL;
	struct jinja_output out;

	(void)state;
	for (int i = 0; i < 5000; i++)
		k += (size_t)sprintf(text + k, " + 1");
	k += (size_t)sprintf(text + k, " }}{%% if 0 %%}");
	for (int i = 0; i < 5000; i++)
		k += (size_t)sprintf(text + k, "{%% elif 0 %%}");
	k += (size_t)sprintf(text + k, "{%% else %%}x{%% endif %%}");
	jinja_scratch_reset(s);
	assert_int_equal(jinja_new(&t, text, k, err, sizeof(err)), 0);
	assert_int_equal(jinja_render(t, s, NULL, &out, err, sizeof(err)), 0);
	assert_int_equal(out.n, 5);
	assert_memory_equal(out.text, "5000x", 5);
	jinja_free(t);
	free(text);
}

/* Bytes that are no UTF-8 are characters of their own, and JSON is what Python reads. */
static void strange_bytes_and_json(void **state)
{
	static const struct {
		const char *source, *json, *want;
	} row[] = {
		{ "{{ x|length }}{{ x[::-1] }}{{ x|upper }}", "{\"x\": \"\xff\xc3\"}", "2\xc3\xff\xff\xc3" },
		{ "{{ x|trim }}{{ x|title }}{{ x.split('a')|length }}", "{\"x\": \"\xe2\x82 a\"}",
		  "\xe2\x82 a\xe2\x82 A2" },
		{ "{{ x }}", "{\"x\": 123456789012345678901234567890}", "123456789012345678901234567890" },
		{ "{{ x }}{{ y }}", "{\"x\": 1e5, \"y\": -0.25}", "100000.0-0.25" },
		{ "{{ x }}", "{\"x\": \"\\u00e9\\ud83d\\ude00\\n\\u0041\"}", "é😀\nA" },
		{ "{{ x }}", "{\"x\": \"\\ud800z\"}", "\xef\xbf\xbdz" },
		{ "{{ x|length }}", "{\"x\": \"a\\u0000b\"}", "3" },
		{ "{% for k in d %}{{ k }}{% endfor %}{{ d.b }}", "{\"d\": {\"b\": 1, \"a\": 2, \"b\": 3}}", "ba3" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char *at = shown, *got;

		got = (char *)show(row[i].source, row[i].json);
		for (char *p = got; *p; p++)
			if (*p != '[' && *p != ']')
				*at++ = *p;
		*at = 0;
		if (strcmp(shown, row[i].want))
			fail_msg("%s: %s", row[i].source, got == err ? err : shown);
	}
	for (const char *const *bad = (const char *const[]){ "", "{", "[1,]", "{\"a\" 1}", "\"a", "01", "1.", "tru",
							     "[1] 2", "\"\\x\"", "\"\n\"", NULL };
	     *bad; bad++) {
		jinja_scratch_reset(s);
		assert_null(jinja_json(s, *bad, strlen(*bad), err, sizeof(err)));
		assert_non_null(strstr(err, "byte"));
	}
}

/* A scratch that is full passes NULL on, and rendering says so. */
static void a_full_scratch_says_so(void **state)
{
	struct jinja_limits l = { .n_step = 1000, .value_bytes = 4096, .output_bytes = 64, .depth = 10 };
	struct jinja_scratch *small = scratch_of(&l);
	struct jinja_value *d = jinja_dict(small);
	struct jinja_output out;
	struct jinja *t = NULL;

	(void)state;
	assert_int_equal(jinja_new(&t, "{{ a }}", 7, err, sizeof(err)), 0);
	for (int i = 0; i < 100; i++)
		d = jinja_dict_set(small, d, "a", 1,
				   jinja_string(small, "0123456789012345678901234567890123456789", 40, false));
	assert_null(d);
	assert_null(jinja_list_append(small, jinja_list(small), NULL));
	assert_int_equal(jinja_render(t, small, d, &out, err, sizeof(err)), -E2BIG);
	jinja_scratch_reset(small);
	d = jinja_dict_set(small, jinja_dict(small), "a", 1, jinja_string(small, "hi", 2, true));
	assert_int_equal(jinja_render(t, small, d, &out, err, sizeof(err)), 0);
	assert_int_equal(out.n, 2);
	assert_null(jinja_dict_get(d, "b"));
	assert_non_null(jinja_dict_get(d, "a"));
	jinja_free(t);
	jinja_scratch_free(small);
}

static int setup(void **state)
{
	(void)state;
	s = scratch_of(&scratch_limits);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	s = jinja_scratch_free(s);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_know_who_wrote_them),
		cmocka_unit_test(ranges_are_as_many_as_they_need_to_be),
		cmocka_unit_test(what_is_too_much_is_refused),
		cmocka_unit_test(parameters_cost_what_they_are_looked_for_among),
		cmocka_unit_test(what_there_is_none_of_is_named),
		cmocka_unit_test(towers_are_refused),
		cmocka_unit_test(literals_take_what_they_are),
		cmocka_unit_test(long_chains_are_fine),
		cmocka_unit_test(strange_bytes_and_json),
		cmocka_unit_test(a_full_scratch_says_so),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
