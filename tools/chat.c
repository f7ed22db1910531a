/*
 * A conversation. The messages so far are kept here, as the chat data of the protocol, and sent whole with every turn. When
 * they no longer fit the context, the oldest question and its answer go.
 */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURN_MAX 512 /* messages kept; the daemon takes no more in one request */

struct turn {
	enum gyre_role role;
	char *text;
	size_t n;
};

struct talk {
	struct turn turn[TURN_MAX];
	size_t n, n_system; /* the first n_system are never dropped */
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
	int r = 0;

	*c = (struct gyre_chat){ .size = 16 };
	for (size_t i = 0; i < t->n; i++)
		c->size += t->turn[i].n + 16;
	c->data = malloc(c->size);
	if (!c->data)
		return -ENOMEM;
	for (size_t i = 0; i < t->n && r == 0; i++)
		r = gyre_chat_append(c, t->turn[i].role, t->turn[i].text, t->turn[i].n);
	return r;
}

/* Asks with what has been said so far; forgets the oldest turns until it fits. 0 or -errno. */
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
	answer_free(&r);
	if (e == 0 || e == -ECONNRESET || e == -ESHUTDOWN || e == -EPIPE || e == -ENOMEM)
		return e;
	fail(TOOL_FAILED, "%s", link_explain(l, e)); /* this message cannot be answered; others can */
	return 0;
}

static void print_commands(void)
{
	puts("/clear  forget what was said\n/bye    leave (so does Ctrl-D)\nCtrl-C  end the answer");
}

static int loop(struct link *l, const struct args *a, struct talk *t)
{
	bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	char *line = NULL;
	size_t size = 0;
	int e = 0;

	while (e == 0) {
		ssize_t n;

		if (is_terminal)
			fputs(">>> ", stdout);
		fflush(stdout);
		n = getline(&line, &size, stdin);
		if (n < 0 && errno == EINTR && answer_take_interrupt()) {
			clearerr(stdin);
			puts("\n/bye or Ctrl-D leaves");
			continue;
		}
		if (n < 0)
			break;
		while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = 0;
		if (!strcmp(line, "/bye"))
			break;
		if (!strcmp(line, "/clear"))
			drop(t, t->n_system, t->n - t->n_system);
		else if (!strcmp(line, "/help") || !strcmp(line, "/?"))
			print_commands();
		else if (line[0] == '/' && is_terminal)
			puts("no such command; /help lists them");
		else if (n)
			e = say(l, a, t, line, (size_t)n);
		answer_take_interrupt();
	}
	if (is_terminal)
		putchar('\n');
	free(line);
	return e;
}

int chat_main(const struct args *a)
{
	static struct talk t;
	struct link l;
	int code = link_open(&l, a), e;

	if (code != TOOL_OK)
		return code;
	answer_catch_interrupt();
	if (!l.info.has_chat) {
		link_close(&l);
		return fail(TOOL_FAILED, "%s has no chat template that gyred knows: use gyre run --raw", l.info.model);
	}
	e = a->system ? add(&t, GYRE_ROLE_SYSTEM, a->system, strlen(a->system)) : 0;
	t.n_system = t.n;
	if (e == 0)
		e = loop(&l, a, &t);
	drop(&t, 0, t.n);
	e = e == 0 ? TOOL_OK : fail(TOOL_FAILED, "%s", link_explain(&l, e));
	link_close(&l);
	return e;
}
