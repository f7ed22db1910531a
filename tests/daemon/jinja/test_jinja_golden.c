/*
 * A prompt that differs by one blank from what a model was trained on makes it answer a little worse, and nothing fails. So what
 * Jinja2 renders is compared byte for byte: thousands of expressions, and every template that could be had in conversations with
 * and without system, tools, thinking, and hostile text. tools/golden/jinja.py writes the files; GYRE_JINJA_GOLDEN names another
 * folder of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/jinja/value.h"
#include "tests/daemon/jinja/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CONVERSATIONS_MAX 256

static struct jinja_scratch *lines, *s; /* what a file says; a rendering */

static FILE *open_golden(const char *name)
{
	const char *folder = getenv("GYRE_JINJA_GOLDEN");
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : "tests/golden/jinja", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be read", path);
	return f;
}

static struct jinja_value *parse(struct jinja_scratch *to, const char *line, size_t n)
{
	char err[256] = "";
	struct jinja_value *v = jinja_json(to, line, n, err, sizeof(err));

	if (!v)
		fail_msg("%s: %.80s", err, line);
	return v;
}

/* Without "line N: ". */
static const char *words(const char *err)
{
	const char *colon = strstr(err, ": ");

	return colon ? colon + 2 : err;
}

/* Rows: [template, with variables?, rendered?, text]. */
static bool row_holds(const struct jinja_value *row, const char *variables, size_t n_variables)
{
	const struct jinja_value *source = row->l.at[0], *want = row->l.at[3];
	bool with = row->l.at[1]->i, ok = row->l.at[2]->i;
	struct jinja_output out = { 0 };
	struct jinja *t = NULL;
	char err[2100] = "";
	int r;

	jinja_scratch_reset(s);
	r = jinja_new(&t, source->s.p, source->n, err, sizeof(err));
	if (!r)
		r = jinja_render(t, s, with ? parse(s, variables, n_variables) : NULL, &out, err, sizeof(err));
	jinja_free(t);
	if (ok ? !r && out.n == want->n && !memcmp(out.text, want->s.p, out.n)
	       : r == -EINVAL && (want->kind == JINJA_NONE ||
				  (strlen(words(err)) == want->n && !memcmp(words(err), want->s.p, want->n))))
		return true;
	print_error("%.*s\n  is  %d %.*s%s\n  not %.*s\n", (int)source->n, source->s.p, r, (int)out.n,
		    r ? "" : out.text, err, want->kind == JINJA_STRING ? (int)want->n : 0,
		    want->kind == JINJA_STRING ? want->s.p : "");
	return false;
}

static void expressions_are_what_jinja2_makes_of_them(void **state)
{
	FILE *f = open_golden("rows.txt");
	char *variables = NULL, *line = NULL;
	size_t cap = 0, n_variables;
	ssize_t n;
	int n_row = 0, n_wrong = 0;

	(void)state;
	n_variables = (size_t)getline(&variables, &cap, f);
	cap = 0;
	while ((n = getline(&line, &cap, f)) > 0) {
		jinja_scratch_reset(lines);
		n_wrong += !row_holds(parse(lines, line, (size_t)n), variables, n_variables);
		n_row++;
	}
	free(line);
	free(variables);
	fclose(f);
	assert_true(n_row > 9000);
	assert_int_equal(n_wrong, 0);
}

static uint64_t fnv(const char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3;
	return h;
}

struct conversation {
	char *line;
	size_t n;
};

static int read_conversations(struct conversation *c)
{
	FILE *f = open_golden("conversations.txt");
	size_t cap = 0;
	int n = 0;

	for (ssize_t k; n < CONVERSATIONS_MAX; n++, cap = 0) {
		c[n].line = NULL;
		k = getline(&c[n].line, &cap, f);
		if (k <= 0)
			break;
		c[n].n = (size_t)k;
	}
	free(c[n].line);
	fclose(f);
	return n;
}

/* want: "=hash" of the text, "!hash" of raise_exception's words, "?" another error. */
static bool conversation_holds(const struct jinja *t, const struct conversation *c, const char *want, const char *name)
{
	struct jinja_output out = { 0 };
	struct jinja_value *pair;
	char err[2100] = "", got[32];
	int r;

	jinja_scratch_reset(s);
	pair = parse(s, c->line, c->n);
	r = jinja_render(t, s, pair->l.at[1], &out, err, sizeof(err));
	snprintf(got, sizeof(got), "%c%016llx", r ? '!' : '=',
		 (unsigned long long)(r ? fnv(words(err), strlen(words(err))) : fnv(out.text, out.n)));
	if (*want == '?' ? r : !strcmp(got, want))
		return true;
	print_error("%s, %.*s: %s %s\n", name, (int)pair->l.at[0]->n, pair->l.at[0]->s.p, r ? err : "another text",
		    want);
	return false;
}

/* Every conversation of one template; how many differ. */
static int template_differs(const struct jinja_value *entry, char *results, const struct conversation *c, int n)
{
	const struct jinja_value *text = entry->l.at[2];
	char *name = strtok(results, " \n"), *want = strtok(NULL, " \n"), err[512] = "";
	struct jinja *t = NULL;
	int r = jinja_new(&t, text->s.p, text->n, err, sizeof(err)), n_wrong = 0;

	if (r || !want || !strcmp(want, "refused")) {
		if (r && want && !strcmp(want, "refused"))
			return 0;
		jinja_free(t);
		print_error("%s: %s\n", name, err);
		return n;
	}
	for (int i = 0; i < n && want; i++, want = strtok(NULL, " \n"))
		n_wrong += !conversation_holds(t, &c[i], want, name);
	jinja_free(t);
	return n_wrong;
}

static void templates_render_as_jinja2_renders_them(void **state)
{
	static struct conversation c[CONVERSATIONS_MAX];
	FILE *f = open_golden("templates.txt"), *g = open_golden("rendered.txt");
	int n_conversation = read_conversations(c), n_template = 0, n_wrong = 0;
	char *line = NULL, *results = NULL;
	size_t cap = 0, results_cap = 0;
	ssize_t n;

	(void)state;
	while ((n = getline(&line, &cap, f)) > 0 && getline(&results, &results_cap, g) > 0) {
		jinja_scratch_reset(lines);
		n_wrong += template_differs(parse(lines, line, (size_t)n), results, c, n_conversation);
		n_template++;
	}
	print_message("%d templates, %d conversations each: %d of %d differ\n", n_template, n_conversation, n_wrong,
		      n_template * n_conversation);
	while (n_conversation)
		free(c[--n_conversation].line);
	free(line);
	free(results);
	fclose(f);
	fclose(g);
	assert_true(n_template > 100);
	assert_int_equal(n_wrong, 0);
}

static int setup(void **state)
{
	(void)state;
	lines = scratch_of(&scratch_limits);
	s = scratch_of(&scratch_limits);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lines = jinja_scratch_free(lines);
	s = jinja_scratch_free(s);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions_are_what_jinja2_makes_of_them),
		cmocka_unit_test(templates_render_as_jinja2_renders_them),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
