/* Text to token ids. With a daemon it is asked; with --model alone the file's vocabulary is read here: weights are not needed. */
#include "tools/tool.h"

#include "daemon/text/chat_gguf.h"
#include "daemon/prompt/messages.h"
#include "daemon/text/chat.h"
#include "daemon/text/vocab_gguf.h"
#include "daemon/gguf/gguf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ids {
	uint32_t *id;
	size_t n, size;
};

static int ids_add(struct ids *t, const uint32_t *id, size_t n)
{
	uint32_t *more = realloc(t->id, (t->n + n + 1) * sizeof(*id));

	if (!more)
		return -ENOMEM;
	t->id = more;
	memcpy(t->id + t->n, id, n * sizeof(*id));
	t->n += n;
	return 0;
}

/* why[512]: gyred's words if it fails. */
static int ask_daemon(struct gyre *g, const void *data, size_t n, bool is_chat, struct ids *out, char *why)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	bool is_last = false;
	int r = sqe ? gyre_prep_tokenize(g, sqe, data, n) : -EAGAIN;

	if (r == 0) {
		sqe->flags |= is_chat ? GYRE_SQE_CHAT : GYRE_SQE_SPECIAL;
		r = gyre_submit(g);
	}
	while (r >= 0 && !is_last) {
		const struct gyre_cqe *cqe;
		size_t n_id;

		r = gyre_wait_cqe(g, &cqe, GYRE_TIMEOUT_NONE);
		if (r < 0)
			break;
		r = cqe->res;
		answer_take_why(g, cqe, why, 512);
		is_last = !(cqe->flags & GYRE_CQE_MORE);
		if (r > 0) {
			const uint32_t *id = gyre_cqe_ids(g, cqe, &n_id);

			r = ids_add(out, id, n_id);
		}
		gyre_cqe_seen(g, cqe);
	}
	return r < 0 ? r : 0;
}

static int print_ids(const struct args *a, const struct ids *t, const struct vocab *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++) {
		struct text_span s = v ? vocab_token_bytes(v, t->id[i], false, true) : (struct text_span){ "", 0 };

		if (a->json)
			json_array_append_new(list, json_integer(t->id[i]));
		else if (a->ids || !v)
			printf("%s%u", i ? " " : "", t->id[i]);
		else
			printf("%6u  '%.*s'\n", t->id[i], (int)s.n, s.p);
	}
	if (a->json)
		return print_json(list);
	json_decref(list);
	if (t->n && (a->ids || !v))
		putchar('\n');
	return TOOL_OK;
}

/* The model file's side of it. */
struct file {
	struct gguf *g;
	struct vocab *vocab;
	struct chat *chat;
};

static void file_close(struct file *f)
{
	chat_free(f->chat);
	vocab_free(f->vocab);
	gguf_close(f->g);
}

static int file_open(struct file *f, const struct args *a)
{
	struct error e = { "" };
	char why[256] = "";

	*f = (struct file){ 0 };
	if (gguf_open_metadata(&f->g, a->model, &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	if (vocab_from_gguf(&f->vocab, f->g, why, sizeof(why)) < 0)
		return fail(TOOL_FAILED, "%s: %s", a->model, why);
	if (a->chat && chat_from_gguf(&f->chat, f->g, f->vocab, a->chat_template, a->chat_date, &e) != CHAT_MADE)
		return fail(TOOL_FAILED, "%s", e.text);
	return TOOL_OK;
}

/* ids of a prompt of n bytes: the model's own BOS comes to it. */
static int make_room(struct ids *t, struct vocab_scratch **s, size_t n)
{
	t->id = malloc(VOCAB_ID_MAX(n) * sizeof(uint32_t));
	*s = vocab_scratch_new(n * VOCAB_GROWTH + 8);
	return t->id && *s ? TOOL_OK : fail(TOOL_FAILED, "no memory for a text of %zu bytes", n);
}

static int tokenize_text(const struct args *a, const struct file *f, const char *text, size_t n)
{
	struct vocab_scratch *s = NULL;
	struct ids t = { 0 };
	int code = make_room(&t, &s, n), r = 0;

	if (code == TOOL_OK)
		r = vocab_tokenize(f->vocab, s, text, n, true, true, t.id, VOCAB_ID_MAX(n));
	if (r < 0)
		code = fail(TOOL_FAILED, "%s", link_explain(NULL, r));
	t.n = r > 0 ? (size_t)r : 0;
	if (code == TOOL_OK)
		code = print_ids(a, &t, f->vocab);
	vocab_scratch_free(s);
	free(t.id);
	return code;
}

/* The prompt that the template makes, and its ids. */
static int print_prompt(const struct args *a, const struct file *f, const struct chat_prompt *p)
{
	struct vocab_scratch *s = NULL;
	struct ids t = { 0 };
	int code = make_room(&t, &s, p->n), r = 0;

	if (code == TOOL_OK)
		r = chat_tokenize(p, f->vocab, s, true, false, t.id, p->n + 8);
	if (r < 0)
		code = fail(TOOL_FAILED, "%s", link_explain(NULL, r));
	t.n = r > 0 ? (size_t)r : 0;
	if (code == TOOL_OK && !a->ids && !a->json)
		printf("%.*s%s\n", (int)p->n, p->text, p->n && p->text[p->n - 1] == '\n' ? "" : "\n");
	if (code == TOOL_OK)
		code = print_ids(a, &t, f->vocab);
	vocab_scratch_free(s);
	free(t.id);
	return code;
}

static int tokenize_chat(const struct args *a, const struct file *f, const struct gyre_chat *c)
{
	static struct chat_message message[GYRE_MESSAGE_MAX];
	struct chat_scratch *s = chat_scratch_new(f->chat, c->n);
	struct text_span variables;
	struct chat_prompt prompt;
	char why[256] = "";
	int r = messages_split(c->data, c->n, message, &variables, why, sizeof(why)), code;

	if (r > 0)
		r = s ? chat_render(f->chat, s, message, (size_t)r, variables, &prompt, why, sizeof(why)) : -ENOMEM;
	code = r < 0 ? fail(TOOL_FAILED, "%s", *why ? why : strerror(-r)) : print_prompt(a, f, &prompt);
	chat_scratch_free(s);
	return code;
}

static int tokenize_daemon(const struct args *a, const void *data, size_t n)
{
	struct ids t = { 0 };
	char why[512] = "";
	struct link l;
	int code = link_open(&l, a), e;

	if (code != TOOL_OK)
		return code;
	e = ask_daemon(l.g, data, n, a->chat, &t, why);
	code = e < 0 ? fail(TOOL_FAILED, "%s", *why ? why : link_explain(&l, e)) : print_ids(a, &t, NULL);
	free(t.id);
	link_close(&l);
	return code;
}

static int tokenize(const struct args *a, const char *text, size_t n, const struct gyre_chat *c)
{
	struct file f;
	int code;

	if (!a->model)
		return a->chat ? tokenize_daemon(a, c->data, c->n) : tokenize_daemon(a, text, n);
	code = file_open(&f, a);
	if (code == TOOL_OK)
		code = a->chat ? tokenize_chat(a, &f, c) : tokenize_text(a, &f, text, n);
	file_close(&f);
	return code;
}

int tokenize_main(const struct args *a)
{
	bool is_chat = a->chat || a->messages || a->tools || a->system || a->n_template_arg || a->think || a->no_think;
	size_t n = a->n_word ? strlen(a->word[0]) : 0;
	char *text = a->n_word || a->messages ? NULL : read_all(stdin, &n);
	const char *in = a->n_word ? a->word[0] : text;
	struct gyre_chat c = { 0 };
	int code = TOOL_OK;

	if (is_chat && !a->chat)
		return fail(TOOL_USAGE, "options of a chat want --chat");
	if (!in && !a->messages)
		return fail(TOOL_FAILED, "cannot read stdin: %s", strerror(errno));
	if (a->chat)
		code = messages_make(a, in, n, &c);
	if (code == TOOL_OK)
		code = tokenize(a, in, n, &c);
	free(c.data);
	free(text);
	return code;
}
