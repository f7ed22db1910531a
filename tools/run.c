#include "tools/editor.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *join_words(const struct args *a, size_t *n)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, n);

	if (!f)
		return NULL;
	for (int i = 0; i < a->n_word; i++)
		fprintf(f, "%s%s", i ? " " : "", a->word[i]);
	return fclose(f) == 0 ? text : NULL;
}

static int finish(const struct args *a, const struct link *l, const struct answer *r, int e)
{
	int res = e < 0 ? e : r->res, code = TOOL_OK;
	const char *error = NULL;

	if (res < 0 && res != -ECANCELED) {
		error = *r->why ? r->why : link_explain(l, res);
		code = fail(TOOL_FAILED, "%s", error);
	} else if (a->verbose) {
		answer_print_rates(r);
	}
	if (a->json && print_json(answer_describe(l, r, res, error)) != TOOL_OK)
		code = TOOL_FAILED;
	return res == -ECANCELED ? 130 : code;
}

/* As a chat of one question where the model can, else as it stands. */
static int ask(const struct args *a, struct link *l, const char *text, size_t n)
{
	bool is_chat = l->info.has_chat && !a->raw;
	struct gyre_chat c = { 0 };
	struct answer r = { 0 };
	int e = is_chat ? messages_make(a, text, n, &c) : TOOL_OK;

	if (e != TOOL_OK)
		return e;
	if (!is_chat && !a->raw)
		fprintf(stderr, "gyre: %s has no chat template: the text is continued as it stands (--raw)\n",
			l->info.model);
	if (a->n_answer > 1) {
		e = branches_run(l, a, is_chat ? c.data : text, is_chat ? c.n : n, is_chat);
		free(c.data);
		return e;
	}
	e = answer_stream(l, a, is_chat ? c.data : text, is_chat ? c.n : n, is_chat, a->json ? NULL : stdout, &r);
	if (!a->json && r.n_text && r.text[r.n_text - 1] != '\n')
		putchar('\n');
	e = finish(a, l, &r, e);
	answer_free(&r);
	free(c.data);
	return e;
}

/* Where lines cannot be edited. */
static int read_plain(char **text, size_t *n)
{
	*text = read_all(stdin, n);
	for (const char *line = *text, *end; line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end && end - line >= TTY_LINE_MAX) {
			free(*text);
			return editor_refuse_cut();
		}
	}
	return TOOL_OK;
}

/* Lines up to Ctrl-D, edited where that is possible. An exit code. */
static int read_typed(char **text, size_t *n)
{
	struct editor *e = editor_open(stderr, false);
	enum editor_outcome o = EDITOR_LINE;
	const char *line;
	size_t len;
	FILE *f;

	if (e)
		answer_catch_interrupt(); /* before anybody is told to type */
	fputs("gyre: type the prompt; Ctrl-D on a line of its own ends it\n", stderr);
	if (!e)
		return read_plain(text, n);
	f = open_memstream(text, n);
	while (f && (o = editor_read(e, "", &line, &len)) == EDITOR_LINE)
		fprintf(f, "%.*s\n", (int)len, line);
	editor_close(e);
	if (f)
		fclose(f);
	if (o != EDITOR_INTERRUPT)
		return TOOL_OK;
	free(*text);
	return 130;
}

/* --messages needs a chat: nothing else has messages. */
static int check(const struct args *a, const struct link *l)
{
	if (!a->messages)
		return TOOL_OK;
	if (a->raw)
		return fail(TOOL_USAGE, "--messages and --raw exclude each other");
	return l->info.has_chat ? TOOL_OK
				: fail(TOOL_FAILED, "%s has no chat template: give gyred --chat-template FILE or NAME",
				       l->info.model);
}

/* The operands; without any, stdin, unless messages alone will do. An exit code; *text NULL: nothing. */
static int read_prompt(const struct args *a, char **text, size_t *n)
{
	int code = TOOL_OK;

	*text = NULL;
	*n = 0;
	if (a->messages && !a->n_word)
		return TOOL_OK;
	if (a->n_word)
		*text = join_words(a, n);
	else if (isatty(STDIN_FILENO))
		code = read_typed(text, n);
	else
		*text = read_all(stdin, n);
	if (code != TOOL_OK) {
		*text = NULL; /* freed where it failed */
		return code;
	}
	if (!*text)
		return fail(TOOL_FAILED, "cannot read the prompt: %s", strerror(errno));
	if (!a->raw && !a->n_word) /* a pipe's final newline is no part of the question */
		while (*n && (*text)[*n - 1] == '\n')
			--*n;
	return *n ? TOOL_OK : fail(TOOL_USAGE, "the prompt is empty");
}

int run_main(const struct args *a)
{
	struct link l;
	char *text;
	size_t n;
	int code = read_prompt(a, &text, &n);

	if (code == TOOL_OK)
		code = link_open(&l, a);
	if (code == TOOL_OK) {
		answer_catch_interrupt();
		code = check(a, &l);
		if (code == TOOL_OK)
			code = ask(a, &l, text, n);
		link_close(&l);
	}
	free(text);
	return code;
}
