/* Making a chat, and running its template. The messages become values in chat_messages.c. */
#include "daemon/text/chat.h"
#include "daemon/text/chat_messages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIAL_BYTES 65536u

struct chat {
	struct jinja *template, *tool_use; /* tool_use NULL: the same */
	char *token_text;
	struct chat_token *token; /* [n_token] */
	uint32_t n_token;
	int64_t now;
};

struct chat_scratch {
	struct jinja_scratch *jinja;
	char *tail;              /* [tail_max] the text that an answer goes on from, with its mark */
	size_t tail_max, n_tail; /* n_tail: bytes to be wiped */
};

static int parse(struct jinja **t, struct text_span text, const char *which, char *err, size_t err_len)
{
	char why[256] = "";
	int r = jinja_new(t, text.p, text.n, why, sizeof(why));

	if (r < 0)
		snprintf(err, err_len, "%s, %s", which, r == -ENOMEM ? "no memory" : why);
	return r;
}

static int copy_tokens(struct chat *c, const struct chat_source *src)
{
	size_t bytes = 1;
	char *at;

	for (uint32_t i = 0; i < src->n_token; i++)
		bytes += src->token[i].text.n;
	c->token_text = at = malloc(bytes);
	c->token = calloc(src->n_token + 1, sizeof(*c->token));
	if (!at || !c->token)
		return -ENOMEM;
	c->n_token = src->n_token;
	for (uint32_t i = 0; i < src->n_token; i++) {
		const struct chat_token *t = &src->token[i];

		if (t->text.n)
			memcpy(at, t->text.p, t->text.n);
		c->token[i] = (struct chat_token){ t->name, { at, t->text.n } };
		at += t->text.n;
	}
	return 0;
}

int chat_new(struct chat **cp, const struct chat_source *src, char *err, size_t err_len)
{
	struct chat *c = calloc(1, sizeof(*c));
	int r = c ? copy_tokens(c, src) : -ENOMEM;

	if (r == 0) {
		c->now = src->now;
		r = parse(&c->template, src->text, "chat template", err, err_len);
	}
	if (r == 0 && src->tool_use.p)
		r = parse(&c->tool_use, src->tool_use, "chat template tool_use", err, err_len);
	if (r < 0) {
		chat_free(c);
		return r;
	}
	*cp = c;
	return 0;
}

struct chat *chat_free(struct chat *c)
{
	if (!c)
		return NULL;
	jinja_free(c->template);
	jinja_free(c->tool_use);
	free(c->token_text);
	free(c->token);
	free(c);
	return NULL;
}

struct chat_scratch *chat_scratch_new(const struct chat *c, size_t text_max)
{
	const struct jinja_limits limits = { .n_step = CHAT_STEP_MAX,
					     .value_bytes = CHAT_VALUE_BYTES(text_max),
					     .output_bytes = CHAT_OUTPUT_BYTES(text_max),
					     .depth = CHAT_DEPTH_MAX,
					     .now = c->now };
	struct chat_scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->tail_max = text_max + CHAT_MARK_BYTES;
	s->tail = malloc(s->tail_max);
	s->jinja = jinja_scratch_new(&limits);
	return s->tail && s->jinja ? s : chat_scratch_free(s);
}

struct chat_scratch *chat_scratch_free(struct chat_scratch *s)
{
	if (!s)
		return NULL;
	jinja_scratch_free(s->jinja);
	free(s->tail);
	free(s);
	return NULL;
}

void chat_scratch_wipe(struct chat_scratch *s)
{
	jinja_scratch_wipe(s->jinja);
	explicit_bzero(s->tail, s->n_tail);
	s->n_tail = 0;
}

/* The template's variables, but for its messages. */
static struct jinja_value *make_globals(const struct chat *c, struct jinja_scratch *s,
					const struct jinja_value *variables, bool goes_on)
{
	struct jinja_value *g = jinja_dict(s);

	g = chat_set(s, g, "tools", jinja_none(s));
	g = chat_set(s, g, "documents", jinja_none(s));
	g = chat_set(s, g, "add_generation_prompt", jinja_bool(s, !goes_on));
	if (g && variables)
		g = jinja_dict_update(s, g, variables);
	for (uint32_t i = 0; i < c->n_token; i++)
		g = chat_set(s, g, c->token[i].name, jinja_string(s, c->token[i].text.p, c->token[i].text.n, true));
	return g;
}

/* The prompt ends where the last message's text does: the mark behind it goes, and all that follows. */
static int cut_at_mark(struct chat_prompt *p, char *err, size_t err_len)
{
	size_t at = p->n;

	while (at && (p->n - at < strlen(CHAT_MARK) || memcmp(p->text + at, CHAT_MARK, strlen(CHAT_MARK)) != 0))
		at--;
	if (p->n - at < strlen(CHAT_MARK) || memcmp(p->text + at, CHAT_MARK, strlen(CHAT_MARK)) != 0) {
		snprintf(err, err_len,
			 "continue_final_message: the chat template does not show the last message's text");
		return -EINVAL;
	}
	/* A template that trims has taken the space behind the mark; then the text's own goes as well. */
	if (at + strlen(CHAT_MARK) == p->n || p->text[at + strlen(CHAT_MARK)] != ' ')
		while (at && strchr(" \t\n\v\f\r", p->text[at - 1]))
			at--;
	p->n = at;
	while (p->n_own && p->own[p->n_own - 1].begin >= at)
		p->n_own--;
	return 0;
}

static int render(const struct chat *c, struct chat_scratch *s, const struct jinja_value *globals, bool has_tools,
		  struct chat_prompt *out, char *err, size_t err_len)
{
	struct jinja_output o;
	char why[256] = "";
	int r = jinja_render(has_tools && c->tool_use ? c->tool_use : c->template, s->jinja, globals, &o, why,
			     sizeof(why));

	if (r < 0) {
		snprintf(err, err_len, "chat template, %s", why);
		return r;
	}
	*out = (struct chat_prompt){ o.text, o.n, o.range, o.n_range };
	return 0;
}

int chat_render(const struct chat *c, struct chat_scratch *s, const struct chat_message *m, size_t n,
		struct text_span variables, struct chat_prompt *out, char *err, size_t err_len)
{
	struct chat_run run = { s->jinja, s->tail, s->tail_max, 0, false, err, err_len };
	struct jinja_value *v, *list, *globals;
	int r;

	jinja_scratch_reset(s->jinja);
	r = chat_read_variables(&run, variables, &v);
	if (r == 0)
		r = chat_read_messages(&run, m, n, &list);
	s->n_tail = run.n_tail;
	if (r < 0)
		return r;
	globals = chat_set(s->jinja, make_globals(c, s->jinja, v, run.goes_on), "messages", list);
	if (!globals)
		return chat_is_full(&run);
	r = render(c, s, globals, chat_has(v, "tools"), out, err, err_len);
	return r == 0 && run.goes_on ? cut_at_mark(out, err, err_len) : r;
}

int chat_try(const struct chat *c, char *err, size_t err_len)
{
	const struct chat_message hi = { CHAT_USER, { "Hi", 2 }, { NULL, 0 } };
	struct chat_scratch *s = chat_scratch_new(c, TRIAL_BYTES);
	struct chat_prompt prompt;
	int r = s ? chat_render(c, s, &hi, 1, (struct text_span){ NULL, 0 }, &prompt, err, err_len) : -ENOMEM;

	chat_scratch_free(s);
	return r;
}

static int put_bos(uint32_t bos, uint32_t *id, int n, size_t n_id)
{
	if (n && id[0] == bos)
		return n;
	if ((size_t)n == n_id)
		return -ENOBUFS;
	memmove(id + 1, id, (size_t)n * sizeof(*id));
	id[0] = bos;
	return n + 1;
}

int chat_tokenize(const struct chat_prompt *p, const struct vocab *v, struct vocab_scratch *s, bool add_bos,
		  bool is_special, uint32_t *id, size_t n_id)
{
	const struct jinja_range all = { 0, UINT32_MAX };
	int n = vocab_tokenize_mixed(v, s, p->text, p->n, false, is_special ? &all : p->own, is_special ? 1 : p->n_own,
				     id, n_id);

	return n >= 0 && add_bos && vocab_adds_bos(v) ? put_bos((uint32_t)vocab_bos(v), id, n, n_id) : n;
}
