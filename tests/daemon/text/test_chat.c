/*
 * A prompt that is a little wrong makes a model answer a little worse, and nothing fails. So templates, and those that gyred brings
 * along, are held to what Jinja2 makes of them (tests/golden/chat.txt, tools/golden/chat.py): the same text; the same ids, in which
 * control tokens come from the template alone, whatever is typed into a message; and the template's own words where it refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/text/chat.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX    65536
#define MESSAGE_MAX 16
#define CONTROL_MAX 64

static const char *const ROLE[] = { "system", "user", "assistant", "tool", "developer" };
static json_t *head; /* the golden file's first line */
static const char *control[CONTROL_MAX];
static size_t n_control;

static uint32_t find_control(const char *text)
{
	for (size_t i = 0; i < n_control; i++)
		if (!strcmp(control[i], text))
			return (uint32_t)(256 + i);
	fail_msg("no control token %s", text);
	return 0;
}

/* Bytes 0 to 255, then the control tokens. */
static struct vocab *make_vocab(const char *bos, bool add_bos)
{
	static char byte[256][8];
	struct text_span token[256 + CONTROL_MAX];
	float score[256 + CONTROL_MAX] = { 0 };
	int32_t type[256 + CONTROL_MAX];
	struct vocab_source src = {
		.model = "llama", .token = token, .score = score, .type = type, .add_bos = add_bos
	};
	struct vocab *v = NULL;
	char err[256] = "";

	for (unsigned b = 0; b < 256; b++) {
		snprintf(byte[b], sizeof(byte[b]), "<0x%02X>", b);
		token[b] = (struct text_span){ byte[b], 6 };
		type[b] = 6;
	}
	for (size_t i = 0; i < n_control; i++) {
		token[256 + i] = (struct text_span){ control[i], (uint32_t)strlen(control[i]) };
		type[256 + i] = 3;
	}
	src.n_token = (uint32_t)(256 + n_control);
	src.bos = (int32_t)find_control(bos);
	src.eos = src.eot = src.eom = src.unk = src.pad = -1;
	if (vocab_new(&v, &src, err, sizeof(err)))
		fail_msg("%s", err);
	return v;
}

static struct chat *make_chat(struct text_span text, struct text_span tool_use, const char *bos, const char *eos)
{
	const struct chat_token token[] = { { "bos_token", { bos, (uint32_t)strlen(bos) } },
					    { "eos_token", { eos, (uint32_t)strlen(eos) } } };
	const struct chat_source src = { text, tool_use, token, 2, 1721995200 }; /* 2024-07-26 12:00 */
	struct chat *c = NULL;
	char err[256] = "";

	if (chat_new(&c, &src, err, sizeof(err)))
		fail_msg("%s", err);
	return c;
}

static struct text_span span(const char *z)
{
	return (struct text_span){ z, z ? (uint32_t)strlen(z) : 0 };
}

static int render(const struct chat *c, struct chat_scratch *s, const struct chat_message *m, size_t n,
		  const char *variables, struct chat_prompt *p, char *err)
{
	return chat_render(c, s, m, n, span(variables), p, err, 256);
}

/* ---- the golden file ---- */

struct golden {
	json_t *keep; /* the template's line: bos and eos point into it */
	struct chat *chat;
	struct chat_scratch *scratch;
	struct vocab *vocab;
	struct vocab_scratch *tokens;
	int n_template, n_chat, n_error;
};

static void close_template(struct golden *g)
{
	g->scratch = chat_scratch_free(g->scratch);
	g->chat = chat_free(g->chat);
	g->vocab = vocab_free(g->vocab);
	json_decref(g->keep);
	g->keep = NULL;
}

static void open_template(struct golden *g, json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "builtin"));
	const char *bos = json_string_value(json_object_get(line, "bos"));

	close_template(g);
	g->keep = json_incref(line);
	g->chat = make_chat(name ? chat_builtin(name) : span(json_string_value(json_object_get(line, "template"))),
			    span(NULL), bos, json_string_value(json_object_get(line, "eos")));
	g->scratch = chat_scratch_new(g->chat, TEXT_MAX);
	g->vocab = make_vocab(bos, json_is_true(json_object_get(line, "add_bos")));
	assert_non_null(g->scratch);
	g->n_template++;
}

/* As a client sends it: the role by number where it has one, the text apart, everything else as JSON. */
static struct chat_message take_message(json_t *m, char **json)
{
	struct chat_message out = { .role = CHAT_USER };
	const char *role = json_string_value(json_object_get(m, "role"));
	json_t *rest = json_copy(m), *content = json_object_get(m, "content");
	size_t i = 0;

	while (i < CHAT_ROLE_MAX && strcmp(role, ROLE[i]) != 0)
		i++;
	if (i < CHAT_ROLE_MAX) {
		out.role = (int)i;
		json_object_del(rest, "role");
	}
	if (json_is_string(content)) {
		out.text = (struct text_span){ json_string_value(content), (uint32_t)json_string_length(content) };
		json_object_del(rest, "content");
	} else if (json_is_null(content)) {
		json_object_del(rest, "content");
	}
	*json = json_object_size(rest) ? json_dumps(rest, JSON_COMPACT) : NULL;
	out.json = span(*json);
	json_decref(rest);
	return out;
}

static void compare_ids(struct golden *g, const struct chat_prompt *p, const json_t *want, const char *line)
{
	static uint32_t id[TEXT_MAX];
	int n = chat_tokenize(p, g->vocab, g->tokens, true, false, id, TEXT_MAX);

	if (n != (int)json_array_size(want))
		fail_msg("%d ids, not %zu: %s", n, json_array_size(want), line);
	for (int i = 0; i < n; i++)
		if ((json_int_t)id[i] != json_integer_value(json_array_get(want, (size_t)i)))
			fail_msg("id %d is %u: %s", i, id[i], line);
}

static void compare(struct golden *g, json_t *chat, const char *line)
{
	json_t *list = json_object_get(chat, "messages"), *want = json_object_get(chat, "text"), *m;
	char *json[MESSAGE_MAX] = { NULL }, err[256] = "";
	char *variables = json_dumps(json_object_get(chat, "variables"), JSON_COMPACT);
	struct chat_message message[MESSAGE_MAX];
	struct chat_prompt p;
	size_t i;
	int r;

	json_array_foreach(list, i, m) message[i] = take_message(m, &json[i]);
	r = render(g->chat, g->scratch, message, json_array_size(list), variables, &p, err);
	if (want) {
		if (r || p.n != json_string_length(want) || memcmp(p.text, json_string_value(want), p.n) != 0)
			fail_msg("%d %s: %.*s\nof %s", r, err, r ? 0 : (int)p.n, p.text, line);
		if (json_is_array(json_object_get(chat, "ids")))
			compare_ids(g, &p, json_object_get(chat, "ids"), line);
	} else {
		const char *words = json_string_value(json_object_get(chat, "error"));

		if (r != -EINVAL || !strstr(err, "chat template, line ") || !strstr(err, words))
			fail_msg("%d %s of %s", r, err, line);
		g->n_error++;
	}
	g->n_chat++;
	free(variables);
	for (i = 0; i < json_array_size(list); i++)
		free(json[i]);
}

static void templates_are_rendered_and_tokenized_as_jinja2_has_it(void **state)
{
	struct golden g = { .tokens = vocab_scratch_new(CHAT_OUTPUT_BYTES(TEXT_MAX)) };
	FILE *f = fopen("tests/golden/chat.txt", "r");
	char *line = NULL;
	size_t size = 0;

	(void)state;
	assert_non_null(f);
	while (getline(&line, &size, f) > 0) {
		json_t *j = json_loads(line, 0, NULL);

		assert_non_null(j);
		if (json_object_get(j, "messages"))
			compare(&g, j, line);
		else if (!json_object_get(j, "control"))
			open_template(&g, j);
		json_decref(j);
	}
	fclose(f);
	assert_true(g.n_template >= 31 && g.n_chat >= 600 && g.n_error >= 60);
	close_template(&g);
	vocab_scratch_free(g.tokens);
	free(line);
}

/* ---- what the file cannot say ---- */

static const struct chat_message hi = { CHAT_USER, { "Hi", 2 }, { NULL, 0 } };

struct bench {
	struct chat *chat;
	struct chat_scratch *scratch;
	struct chat_prompt p;
	char err[256];
};

static void open_bench(struct bench *b, const char *template, const char *tool_use)
{
	b->chat = make_chat(span(template), span(tool_use), "<s>", "</s>");
	b->scratch = chat_scratch_new(b->chat, TEXT_MAX);
	assert_non_null(b->scratch);
}

static void close_bench(struct bench *b)
{
	chat_scratch_free(b->scratch);
	chat_free(b->chat);
}

static void assert_prompt(struct bench *b, const struct chat_message *m, size_t n, const char *variables,
			  const char *want)
{
	int r = render(b->chat, b->scratch, m, n, variables, &b->p, b->err);

	if (r || b->p.n != strlen(want) || memcmp(b->p.text, want, b->p.n) != 0)
		fail_msg("%d %s: '%.*s', not '%s'", r, b->err, r ? 0 : (int)b->p.n, b->p.text, want);
}

static void assert_refused(struct bench *b, const struct chat_message *m, size_t n, const char *variables,
			   const char *words)
{
	assert_int_equal(render(b->chat, b->scratch, m, n, variables, &b->p, b->err), -EINVAL);
	if (!strstr(b->err, words))
		fail_msg("'%s' does not say '%s'", b->err, words);
}

static void tools_take_their_own_template(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "plain", "with {{ tools | length }}");
	assert_prompt(&b, &hi, 1, NULL, "plain");
	assert_prompt(&b, &hi, 1, "{\"tools\": null}", "plain");
	assert_prompt(&b, &hi, 1, "{\"tools\": [{}, {}]}", "with 2");
	close_bench(&b);
}

static void an_answer_goes_on_where_its_text_ends(void **state)
{
	static const char loop[] =
		"{% for m in messages %}[{{ m.content if m.content is string else m.content[0].text }}]"
		"{% endfor %}{% if add_generation_prompt %}>{% endif %}";
	static const char trim[] = "{% for m in messages %}<{{ m.content | trim }}>{% endfor %}";
	const struct chat_message talk[] = { hi, { CHAT_ASSISTANT, span("The sky "), { NULL, 0 } } };
	const struct chat_message parts[] = {
		hi, { CHAT_ASSISTANT, { NULL, 0 }, span("{\"content\": [{\"type\": \"text\", \"text\": \"so \"}]}") }
	};
	struct bench b;

	(void)state;
	open_bench(&b, loop, NULL);
	assert_prompt(&b, talk, 2, NULL, "[Hi][The sky ]>");
	assert_prompt(&b, talk, 2, "{\"continue_final_message\": true}", "[Hi][The sky ");
	assert_int_equal(b.p.own[b.p.n_own - 1].end, 5); /* "][" is the last that the template wrote */
	assert_prompt(&b, parts, 2, "{\"continue_final_message\": true}", "[Hi][so ");
	assert_refused(&b, talk, 2, "{\"continue_final_message\": true, \"add_generation_prompt\": true}", "exclude");
	close_bench(&b);
	open_bench(&b, trim, NULL);
	assert_prompt(&b, talk, 2, "{\"continue_final_message\": true}", "<Hi><The sky");
	close_bench(&b);
	open_bench(&b, "{{ messages[0].content }}", NULL);
	assert_refused(&b, talk, 2, "{\"continue_final_message\": true}", "does not show");
	close_bench(&b);
}

static void members_that_are_not_free_are_refused(void **state)
{
	const struct chat_message both = { CHAT_USER, span("a"), span("{\"content\": \"b\"}") },
				  odd = { CHAT_USER, span("a"), span("{\"role\": 7}") },
				  list = { CHAT_USER, span("a"), span("[]") },
				  cut = { CHAT_USER, span("a"), span("{\"x\": ") };
	struct bench b;

	(void)state;
	open_bench(&b, "{{ messages[0].content }}", NULL);
	assert_refused(&b, &both, 1, NULL, "message 0 has text, and content");
	assert_refused(&b, &odd, 1, NULL, "role is no string");
	assert_refused(&b, &list, 1, NULL, "message 0: its JSON is no object");
	assert_refused(&b, &cut, 1, NULL, "message 0: JSON");
	assert_refused(&b, &hi, 1, "{\"messages\": []}", "messages is not for a client to set");
	assert_refused(&b, &hi, 1, "{\"eos_token\": \"<|im_end|>\"}", "eos_token is not for a client to set");
	assert_refused(&b, &hi, 1, "[1]", "chat variables: its JSON is no object");
	assert_prompt(&b, &hi, 1, "{\"anything\": 1}", "Hi");
	close_bench(&b);
}

/* A role of the client's own is text like any other; those of chats are what templates make marks of. */
static void a_role_of_its_own_makes_no_control_token(void **state)
{
	const struct chat_message m[] = { { CHAT_USER, span("a"), span("{\"role\": \"endoftext\"}") }, hi };
	struct vocab *v = make_vocab("<s>", false);
	struct vocab_scratch *s = vocab_scratch_new(4096);
	struct bench b;
	uint32_t id[256];
	int n, n_mark = 0;

	(void)state;
	open_bench(&b, "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% endfor %}", NULL);
	assert_prompt(&b, m, 2, NULL, "<|endoftext|><|user|>");
	n = chat_tokenize(&b.p, v, s, true, false, id, 256);
	for (int i = 0; i < n; i++)
		n_mark += id[i] >= 256;
	assert_int_equal(n_mark, 1);
	assert_int_equal(id[n - 1], find_control("<|user|>"));
	n = chat_tokenize(&b.p, v, s, true, true, id, 256);
	assert_int_equal(n, 2); /* a caller that asks for it has it */
	assert_int_equal(id[0], find_control("<|endoftext|>"));
	assert_int_equal(chat_tokenize(&b.p, v, s, true, true, id, 1), -ENOBUFS);
	close_bench(&b);
	vocab_scratch_free(s);
	vocab_free(v);
}

static void a_bos_is_there_once(void **state)
{
	static const struct {
		const char *template;
		bool adds, asked;
		int n_bos;
	} row[] = { { "x", false, true, 0 },
		    { "x", true, true, 1 },
		    { "x", true, false, 0 },
		    { "{{ bos_token }}x", false, true, 1 },
		    { "{{ bos_token }}x", true, true, 1 },
		    { "{{ bos_token }}x", true, false, 1 },
		    { "{{ bos_token + bos_token }}", true, true, 2 },
		    { "{{ messages[0].content }}", true, true, 1 } };
	const struct chat_message m = { CHAT_USER, span("<s>"), { NULL, 0 } };
	struct vocab_scratch *s = vocab_scratch_new(4096);
	uint32_t id[256];

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct vocab *v = make_vocab("<s>", row[i].adds);
		struct bench b;
		int n, n_bos = 0;

		open_bench(&b, row[i].template, NULL);
		assert_int_equal(render(b.chat, b.scratch, &m, 1, NULL, &b.p, b.err), 0);
		n = chat_tokenize(&b.p, v, s, row[i].asked, false, id, 256);
		for (int k = 0; k < n; k++)
			n_bos += id[k] == find_control("<s>");
		assert_int_equal(n_bos, row[i].n_bos);
		close_bench(&b);
		vocab_free(v);
	}
	vocab_scratch_free(s);
}

static void a_template_without_end_is_stopped(void **state)
{
	static const char *const template[] = {
		"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
		"{% for a in range(99999) %}0123456789012345678901234567890123456789{% endfor %}",
		"{% set ns = namespace(x='aa') %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
		"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(template) / sizeof(template[0]); i++) {
		struct bench b;

		open_bench(&b, template[i], NULL);
		assert_int_equal(render(b.chat, b.scratch, &hi, 1, NULL, &b.p, b.err), -E2BIG);
		assert_non_null(strstr(b.err, "chat template, line 1"));
		assert_int_equal(chat_try(b.chat, b.err, sizeof(b.err)), -E2BIG);
		close_bench(&b);
	}
}

static void a_template_that_cannot_be_parsed_says_where(void **state)
{
	const struct chat_source src = { .text = span("ok\n{{ x | nosuch }}") };
	struct chat *c = NULL;
	char err[256] = "";

	(void)state;
	assert_int_equal(chat_new(&c, &src, err, sizeof(err)), -EINVAL);
	assert_null(c);
	assert_non_null(strstr(err, "chat template, line 2"));
	assert_non_null(strstr(err, "nosuch"));
}

/* The control tokens that the golden file's first line names, for all cases. */
static int setup(void **state)
{
	FILE *f = fopen("tests/golden/chat.txt", "r");
	json_t *list;

	(void)state;
	assert_non_null(f);
	head = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	fclose(f);
	list = json_object_get(head, "control");
	for (n_control = 0; n_control < json_array_size(list); n_control++)
		control[n_control] = json_string_value(json_array_get(list, n_control));
	return n_control ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(head);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_are_rendered_and_tokenized_as_jinja2_has_it),
		cmocka_unit_test(tools_take_their_own_template),
		cmocka_unit_test(an_answer_goes_on_where_its_text_ends),
		cmocka_unit_test(members_that_are_not_free_are_refused),
		cmocka_unit_test(a_role_of_its_own_makes_no_control_token),
		cmocka_unit_test(a_bos_is_there_once),
		cmocka_unit_test(a_template_without_end_is_stopped),
		cmocka_unit_test(a_template_that_cannot_be_parsed_says_where),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
