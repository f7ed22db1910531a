#include "daemon/text/chat_gguf.h"

#include "daemon/text/chat.h"
#include "daemon/util/cleanup.h"
#include "daemon/gguf/gguf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEMPLATE_FILE_MAX (1u << 20)
#define REMEDY            "give gyred --chat-template FILE, or one of its own: "

static struct text_span get(const struct gguf *g, const char *key)
{
	struct gguf_str s;

	return gguf_get_str(g, key, &s) ? (struct text_span){ NULL, 0 } : (struct text_span){ s.p, (uint32_t)s.n };
}

/* The special tokens that the file names, as templates call them. */
static uint32_t get_tokens(const struct gguf *g, const struct vocab *v, struct chat_token *token)
{
	static const struct {
		const char *name, *key;
	} more[] = { { "unk_token", "tokenizer.ggml.unknown_token_id" },
		     { "sep_token", "tokenizer.ggml.seperator_token_id" }, /* the key's own spelling */
		     { "pad_token", "tokenizer.ggml.padding_token_id" },
		     { "cls_token", "tokenizer.ggml.cls_token_id" },
		     { "mask_token", "tokenizer.ggml.mask_token_id" } };
	uint32_t n = 0, id;

	/* Empty where there is none: templates add them to texts without asking. An id of -1 has no bytes. */
	token[n++] = (struct chat_token){ "bos_token", vocab_token_bytes(v, (uint32_t)vocab_bos(v), false, true) };
	token[n++] = (struct chat_token){ "eos_token", vocab_token_bytes(v, (uint32_t)vocab_eos(v), false, true) };
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (gguf_get_u32(g, more[i].key, &id) == 0)
			token[n++] = (struct chat_token){ more[i].name, vocab_token_bytes(v, id, false, true) };
	return n;
}

static int read_file(const char *path, char **text, size_t *n)
{
	FILE *f = fopen(path, "re");
	int r = 0;

	if (!f)
		return -errno;
	*text = malloc(TEMPLATE_FILE_MAX + 1);
	if (!*text)
		r = -ENOMEM;
	else {
		errno = 0;
		*n = fread(*text, 1, TEMPLATE_FILE_MAX + 1, f);
		r = ferror(f) ? -errno : *n > TEMPLATE_FILE_MAX ? -EFBIG : 0;
	}
	fclose(f);
	return r;
}

/* A name of ours, else a file, whose text the caller frees. */
static int find_given(const char *given, char **file, struct text_span *text, struct error *e)
{
	char names[256];
	size_t n = 0;
	int r;

	*text = chat_builtin(given);
	if (text->p)
		return 0;
	r = read_file(given, file, &n);
	*text = (struct text_span){ *file, (uint32_t)n };
	if (r == 0)
		return 0;
	chat_builtin_names(names, sizeof(names));
	return error_set(e, r, "chat-template: %s: %s; name a file, or one of gyred's own: %s", given, strerror(-r),
			 names);
}

static int parse_date(const char *date, int64_t *now, struct error *e)
{
	struct tm tm = { 0 };
	const char *end = strptime(date, "%Y-%m-%d", &tm);

	if (!end || *end)
		return error_set(e, -EINVAL, "chat-date: '%s' is no date such as " CHAT_DATE_DEFAULT, date);
	tm.tm_hour = 12;
	*now = timegm(&tm);
	return 0;
}

static int none(struct error *e, const char *why)
{
	char names[256];

	chat_builtin_names(names, sizeof(names));
	error_set(e, 0, "%s: chats are refused; " REMEDY "%s", why, names);
	return CHAT_NONE;
}

int chat_from_gguf(struct chat **cp, const struct gguf *g, const struct vocab *v, const char *template,
		   const char *date, struct error *e)
{
	_cleanup_free_ char *file = NULL;
	struct chat_token token[8];
	struct chat_source src = { .token = token };
	bool is_given = template && *template;
	char why[256] = "";
	int r = parse_date(date && *date ? date : CHAT_DATE_DEFAULT, &src.now, e);

	*e = r < 0 ? *e : (struct error){ "" };
	if (r == 0 && is_given)
		r = find_given(template, &file, &src.text, e);
	if (r < 0)
		return r;
	if (!is_given) {
		src.text = get(g, "tokenizer.chat_template");
		src.tool_use = get(g, "tokenizer.chat_template.tool_use");
	}
	if (!src.text.p)
		return none(e, "the model has no chat template");
	src.n_token = get_tokens(g, v, token);
	r = chat_new(cp, &src, why, sizeof(why));
	if (r == -EINVAL && !is_given)
		return none(e, why);
	if (r < 0)
		return error_set(e, r, "%s: %s", is_given ? template : "chat template", *why ? why : strerror(-r));
	if (chat_try(*cp, why, sizeof(why)) < 0)
		error_set(e, 0, "a chat of one question fails: %s", why);
	return CHAT_MADE;
}
