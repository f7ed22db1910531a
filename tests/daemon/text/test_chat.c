/*
 * A chat template that is rendered a little wrong makes a model answer a little worse, and nothing fails. So each family is
 * compared with what Jinja makes of a template of it (tests/golden/chat.txt, tools/golden/chat.py), and a template of no
 * known family must be refused rather than guessed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/text/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX    16384
#define MESSAGE_MAX 8

static char line[4 * TEXT_MAX], template_text[TEXT_MAX], eos[64], want[TEXT_MAX], got[TEXT_MAX];
static char body[MESSAGE_MAX][TEXT_MAX];

static size_t unhex(char *out, const char *h)
{
	size_t n = 0;

	if (*h != '-')
		for (unsigned b; sscanf(h + 2 * n, "%2x", &b) == 1; n++)
			out[n] = (char)b;
	out[n] = 0;
	return n;
}

/* Nothing but the tokens that templates name. */
static struct vocab *vocab_of(const char *chat_template)
{
	static char byte[256][8];
	struct text_span token[258];
	float score[258] = { 0 };
	int32_t type[258];
	struct vocab_source src = { .model = "llama",
				    .n_token = 258,
				    .token = token,
				    .score = score,
				    .type = type,
				    .bos = 0,
				    .eos = 1,
				    .eot = -1,
				    .eom = -1,
				    .unk = -1,
				    .pad = -1,
				    .chat_template = chat_template };
	struct vocab *v = NULL;
	char err[256] = "";

	token[0] = (struct text_span){ "<s>", 3 };
	token[1] = (struct text_span){ eos, (uint32_t)strlen(eos) };
	type[0] = type[1] = 3;
	for (unsigned b = 0; b < 256; b++) {
		snprintf(byte[b], sizeof(byte[b]), "<0x%02X>", b);
		token[2 + b] = (struct text_span){ byte[b], 6 };
		type[2 + b] = 6;
	}
	if (vocab_new(&v, &src, err, sizeof(err)))
		fail_msg("%s", err);
	return v;
}

/* "ROLE TEXT ROLE TEXT ... = TEXT" */
static void compare(const struct vocab *v, char *at)
{
	struct chat_message m[MESSAGE_MAX];
	size_t n = 0, n_want;
	ssize_t n_got;
	char *word;

	for (word = strtok(at, " "); word && strcmp(word, "="); word = strtok(NULL, " "), n++) {
		m[n].role = !strcmp(word, "system") ? CHAT_SYSTEM : !strcmp(word, "user") ? CHAT_USER : CHAT_ASSISTANT;
		m[n].text = (struct text_span){ body[n], (uint32_t)unhex(body[n], strtok(NULL, " ")) };
	}
	n_want = unhex(want, strtok(NULL, " "));
	n_got = vocab_chat_render(v, m, n, true, got, sizeof(got) - 1);
	got[n_got > 0 ? n_got : 0] = 0;
	if (n_got != (ssize_t)n_want || memcmp(got, want, n_want))
		fail_msg("%s (%zd):\n%s\nnot:\n%s", vocab_chat_family(v), n_got, got, want);
	assert_int_equal(vocab_chat_render(v, m, n, true, got, n_want - 1), -ENOBUFS);
}

static void families_are_rendered_as_jinja_does(void **state)
{
	FILE *f = fopen("tests/golden/chat.txt", "r");
	int n_family = 0, n_chat = 0, n_unknown = 0;
	struct vocab *v = NULL;
	char family[64], rest[2 * TEXT_MAX];

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "chat ", 5)) {
			compare(v, line + 5);
			n_chat++;
			continue;
		}
		v = vocab_free(v);
		if (sscanf(line, "template %63s %127s %32767s", family, want, rest) == 3) {
			unhex(eos, want);
			unhex(template_text, rest);
			v = vocab_of(template_text);
			assert_non_null(vocab_chat_family(v));
			assert_string_equal(vocab_chat_family(v), family);
			n_family++;
		} else if (sscanf(line, "unknown %127s %32767s", want, rest) == 2) {
			struct chat_message m = { CHAT_USER, { "Hi", 2 } };

			unhex(eos, want);
			unhex(template_text, rest);
			v = vocab_of(template_text);
			assert_null(vocab_chat_family(v));
			assert_int_equal(vocab_chat_render(v, &m, 1, true, got, sizeof(got)), -ENOTSUP);
			n_unknown++;
		} else {
			fail_msg("%.40s", line);
		}
	}
	fclose(f);
	vocab_free(v);
	assert_true(n_family >= 19 && n_chat >= 80 && n_unknown >= 4);
}

static void odd_conversations_are_refused(void **state)
{
	const struct chat_message late[] = { { CHAT_USER, { "a", 1 } }, { CHAT_SYSTEM, { "b", 1 } } },
				  role[] = { { 7, { "a", 1 } } };
	struct vocab *v;

	(void)state;
	strcpy(eos, "</s>");
	v = vocab_of("[INST] <<SYS>>");
	assert_int_equal(vocab_chat_render(v, late, 2, true, got, sizeof(got)), -EINVAL);
	assert_int_equal(vocab_chat_render(v, role, 1, true, got, sizeof(got)), -EINVAL);
	vocab_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(families_are_rendered_as_jinja_does),
					    cmocka_unit_test(odd_conversations_are_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
