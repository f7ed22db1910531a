/*
 * A conversation. The messages so far are kept here, as the chat data of the protocol, and sent whole with every turn. When
 * they no longer fit the context, the oldest question and its answer go.
 */
#include "tools/editor.h"
#include "tools/message.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURN_MAX (GYRE_MESSAGE_MAX - 1) /* messages kept: a request's, but for the variables */

#define MESSAGE_ROOM (sizeof(struct gyre_message) + 8) /* header and padding */

struct turn {
	enum gyre_role role;
	char *text;
	size_t n;
};

struct talk {
	struct turn turn[TURN_MAX];
	size_t n, n_system; /* the first n_system are never dropped */
	char *variables;    /* JSON, or NULL */
};

static void drop(struct talk *t, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		free(t->turn[i].text);
	memmove(&t->turn[first], &t->turn[first + n], (t->n - first - n) * sizeof(t->turn[0]));
	t->n -= n;
}

static int add(struct talk *t, enum gyre_role role, const char *text, size_t n)
{
	char *copy;

	if (t->n == TURN_MAX)
		drop(t, t->n_system, 2);
	copy = malloc(n + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, n);
	copy[n] = 0;
	t->turn[t->n++] = (struct turn){ role, copy, n };
	return 0;
}

static int pack(const struct talk *t, struct gyre_chat *c)
{
	size_t n_json = t->variables ? strlen(t->variables) : 0;
	int r = 0;

	*c = (struct gyre_chat){ .size = n_json + MESSAGE_ROOM };
	for (size_t i = 0; i < t->n; i++)
		c->size += t->turn[i].n + MESSAGE_ROOM;
	c->data = malloc(c->size);
	if (!c->data)
		return -ENOMEM;
	if (t->variables)
		r = gyre_chat_set_variables(c, t->variables, n_json);
	for (size_t i = 0; i < t->n && r == 0; i++)
		r = gyre_chat_append(c, t->turn[i].role, t->turn[i].text, t->turn[i].n);
	return r;
}

/* Asks with the conversation so far; forgets the oldest turns until it fits. 0 or -errno. */
static int ask(struct link *l, const struct args *a, struct talk *t, struct answer *r)
{
	for (;;) {
		struct gyre_chat c;
		int e = pack(t, &c);

		if (e == 0)
			e = answer_stream(l, a, c.data, c.n, true, stdout, r);
		free(c.data);
		if (e == 0)
			e = r->res == -ECANCELED ? 0 : r->res;
		if ((e != -E2BIG && e != -EMSGSIZE) || t->n <= t->n_system + 2)
			return e;
		drop(t, t->n_system, 2);
		answer_free(r);
	}
}

static int say(struct link *l, const struct args *a, struct talk *t, const char *line, size_t n)
{
	struct answer r = { 0 };
	int e = add(t, GYRE_ROLE_USER, line, n);

	if (e == 0)
		e = ask(l, a, t, &r);
	putchar('\n');
	if (e == 0)
		e = add(t, GYRE_ROLE_ASSISTANT, r.text ? r.text : "", r.n_text);
	else if (t->n > t->n_system)
		drop(t, t->n - 1, 1); /* a question without an answer would spoil the next */
	if (e == 0 && a->verbose)
		answer_print_rates(&r);
	if (e < 0 && e != -ECONNRESET && e != -ESHUTDOWN && e != -EPIPE && e != -ENOMEM) {
		fail(TOOL_FAILED, "%s", *r.why ? r.why : link_explain(l, e));
		e = 0; /* this message cannot be answered; others can */
	}
	answer_free(&r);
	return e;
}

static void print_commands(void)
{
	puts("/clear  forget what was said\n/bye    leave (so does Ctrl-D)\nCtrl-C  end the answer\n"
	     "\\       at the end of a line: the message goes on with the next\n"
	     "\"\"\"     at its beginning: it goes on up to \"\"\" at the end of a line\n"
	     "A paste is one message, whatever line ends it has; Enter sends it.");
}

/* A word behind a slash and nothing else: "/usr/bin" and "/bye was said" are messages. */
static bool is_command(const char *text)
{
	return text[0] == '/' && text[1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz?")] == 0;
}

/* Where messages come from: the editor, or lines as they are. */
struct source {
	struct editor *editor; /* NULL: plain */
	bool is_terminal;      /* plain, but somebody looks */
	char *line;
	size_t size;
};

static enum editor_outcome read_plain(struct source *s, const char *prompt, const char **line, size_t *n)
{
	ssize_t got;

	if (s->is_terminal)
		fputs(prompt, stdout);
	fflush(stdout);
	got = getline(&s->line, &s->size, stdin);
	if (got < 0 && errno == EINTR && answer_take_interrupt()) {
		clearerr(stdin);
		putchar('\n');
		return EDITOR_INTERRUPT;
	}
	if (got < 0)
		return EDITOR_END;
	if (got >= TTY_LINE_MAX && isatty(STDIN_FILENO)) {
		editor_refuse_cut();
		got = 0;
	}
	while (got && (s->line[got - 1] == '\n' || s->line[got - 1] == '\r'))
		got--;
	s->line[got] = 0;
	*line = s->line;
	*n = (size_t)got;
	return EDITOR_LINE;
}

/* The next message, whole. EDITOR_END: the last one may be there. */
static enum editor_outcome read_message(struct source *s, struct message *m)
{
	enum editor_outcome o;
	const char *line;
	int more = 1;

	message_clear(m);
	while (more == 1) {
		const char *prompt = m->has_line || m->is_block ? "... " : ">>> ";
		size_t n = 0;

		o = s->editor ? editor_read(s->editor, prompt, &line, &n) : read_plain(s, prompt, &line, &n);
		if (o != EDITOR_LINE)
			return o;
		more = message_add(m, line, n);
	}
	return more < 0 ? EDITOR_END : EDITOR_LINE;
}

/* 1: leave. 0, or -errno of a message that could not be sent. */
static int take_message(struct link *l, const struct args *a, struct talk *t, struct source *s, const struct message *m)
{
	bool is_terminal = s->editor || s->is_terminal;

	if (!m->n)
		return 0;
	if (!strcmp(m->text, "/bye"))
		return 1;
	if (s->editor)
		editor_remember(s->editor, m->text);
	if (!strcmp(m->text, "/clear"))
		drop(t, t->n_system, t->n - t->n_system);
	else if (!strcmp(m->text, "/help") || !strcmp(m->text, "/?"))
		print_commands();
	else if (is_terminal && is_command(m->text))
		puts("no such command; /help lists them");
	else
		return say(l, a, t, m->text, m->n);
	return 0;
}

static int loop(struct link *l, const struct args *a, struct talk *t, struct editor *editor)
{
	struct source s = { .editor = editor, .is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) };
	enum editor_outcome o = EDITOR_LINE;
	struct message m = { 0 };
	int e = 0;

	while (e == 0 && o != EDITOR_END) {
		o = read_message(&s, &m);
		if (o == EDITOR_INTERRUPT)
			puts("/bye or Ctrl-D leaves");
		else if (o == EDITOR_LINE || !s.is_terminal) /* a pipe's end ends its last message */
			e = take_message(l, a, t, &s, &m);
		answer_take_interrupt();
	}
	if (s.is_terminal && !s.editor)
		putchar('\n');
	message_clear(&m);
	free(s.line);
	return e < 0 ? e : 0;
}

static int talk(struct link *l, const struct args *a, char *variables, struct editor *editor)
{
	static struct talk t;
	int e;

	if (!l->info.has_chat)
		return fail(TOOL_FAILED,
			    "%s has no chat template: give gyred --chat-template FILE or NAME, or use gyre run --raw",
			    l->info.model);
	t.variables = variables;
	e = a->system ? add(&t, GYRE_ROLE_SYSTEM, a->system, strlen(a->system)) : 0;
	t.n_system = t.n;
	if (e == 0)
		e = loop(l, a, &t, editor);
	drop(&t, 0, t.n);
	return e == 0 ? TOOL_OK : fail(TOOL_FAILED, "%s", link_explain(l, e));
}

int chat_main(const struct args *a)
{
	struct editor *editor = editor_open(stdout, !a->no_history); /* first: lines typed meanwhile are not cut */
	struct link l;
	char *variables = NULL;
	int code = variables_make(a, &variables);

	if (code == TOOL_OK)
		code = link_open(&l, a);
	if (code == TOOL_OK) {
		answer_catch_interrupt();
		code = talk(&l, a, variables, editor);
		link_close(&l);
	}
	editor_close(editor);
	free(variables);
	return code;
}
