/*
 * Chat messages -> the prompt that the model was trained on: the chat template of the model's file, a Jinja program, is run over
 * them with the variables that transformers gives it. Bytes that the template wrote are told from those of the messages, so that
 * control tokens come from the template alone.
 *
 * A struct chat is immutable once made, so any number of threads share one; each brings its own scratch. Rendering allocates
 * nothing. It takes up to CHAT_STEP_MAX steps, tenths of a second: never a leader's work.
 */
#ifndef GYRE_DAEMON_TEXT_CHAT_H
#define GYRE_DAEMON_TEXT_CHAT_H

#include "daemon/jinja/jinja.h"
#include "daemon/text/text.h"

/* Limits of a rendering of messages of text_max bytes in all. */
#define CHAT_OUTPUT_BYTES(text_max) ((size_t)(text_max) + (64u << 10)) /* marks: 64 bytes each of 1024 messages */
#define CHAT_VALUE_BYTES(text_max) \
	(8 * (size_t)(text_max) + (1u << 20)) /* the messages, and copies that a template makes */
#define CHAT_STEP_MAX  (1u << 21)             /* 1024 messages at 100 steps each take 5 % of it */
#define CHAT_DEPTH_MAX 100u                   /* a tool's JSON schema is some 20 deep */

/* A special token of the vocabulary that templates know by name. */
struct chat_token {
	const char *name; /* "bos_token" */
	struct text_span text;
};

struct chat_source {
	struct text_span text;          /* the template */
	struct text_span tool_use;      /* the template that runs where tools are given; p NULL: the same */
	const struct chat_token *token; /* [n_token] */
	uint32_t n_token;
	int64_t now; /* strftime_now()'s moment, seconds since the epoch: fixed, so that answers are */
};

struct chat;
struct chat_scratch;

/* -EINVAL: err names the mistake in the template, with its line. -ENOMEM. */
int chat_new(struct chat **cp, const struct chat_source *src, char *err, size_t err_len);
/* NULL does nothing. Returns NULL. */
struct chat *chat_free(struct chat *c);

/*
 * One message of a user: a template that fails on it is better found at the start than by the first client, but may be right for
 * others. As chat_render; -ENOMEM.
 */
int chat_try(const struct chat *c, char *err, size_t err_len);

/* Of one thread, for messages of text_max bytes in all. NULL: no memory. */
struct chat_scratch *chat_scratch_new(const struct chat *c, size_t text_max);
struct chat_scratch *chat_scratch_free(struct chat_scratch *s);
/* Nothing stays of the messages rendered last. */
void chat_scratch_wipe(struct chat_scratch *s);

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT, CHAT_TOOL, CHAT_DEVELOPER, CHAT_ROLE_MAX };

/* As struct gyre_message of shm/abi.h; p NULL: none. */
struct chat_message {
	int role; /* enum chat_role */
	struct text_span text, json;
};

struct chat_prompt {
	const char *text; /* in the scratch, until it renders again */
	size_t n;
	const struct jinja_range *own; /* [n_own]: the bytes that the template itself wrote */
	size_t n_own;
};

/*
 * variables: a JSON object, p NULL: none. -EINVAL: the template refused the messages, or they are malformed; -E2BIG: a limit was
 * reached. err says which, in the template's words where it has some.
 */
int chat_render(const struct chat *c, struct chat_scratch *s, const struct chat_message *m, size_t n,
		struct text_span variables, struct chat_prompt *out, char *err, size_t err_len);

/*
 * The prompt's ids, as vocab_tokenize gives them: control tokens from the template's own bytes, with is_special from all. The
 * model sees the template's text as it is: no EOS is added, and a BOS only where add_bos is set, the vocabulary wants one, and the
 * template has not written it.
 */
int chat_tokenize(const struct chat_prompt *p, const struct vocab *v, struct vocab_scratch *s, bool add_bos,
		  bool is_special, uint32_t *id, size_t n_id);

/* A template that gyred brings along; p NULL: none has that name. */
struct text_span chat_builtin(const char *name);
/* Their names, with commas between. */
void chat_builtin_names(char *out, size_t n);

#endif
