/*
 * Chat templates. Models carry theirs as a Jinja program; nearly all are one of a few formats, so the family is recognised
 * by marks in that program, and the format is data: what stands before and after each role's text. The first row whose
 * marks all occur is the family; one more family is one more row.
 */
#include "daemon/text/vocab.h"

#include <string.h>

#define CHAT_MARK_MAX 4

/* In the strings of a row: the texts of these tokens of the vocabulary. A BOS at the very front is the tokenizer's to put. */
#define EOS "\1"
#define BOS "\2"

struct chat_row {
	const char *family;
	const char *mark[CHAT_MARK_MAX];  /* all occur in the template; one that begins with ! does not */
	const char *before[3], *after[3]; /* by role; before[CHAT_SYSTEM] NULL: the system has no turn of its own */
	const char *system_open, *join;   /* then its text opens a user's: around it */
	const char *system_default;       /* NULL: none */
	const char *generate;
	bool trim;        /* white space around each text is dropped */
	bool system_last; /* the system's text opens the last user's turn, not the first */
};

#define SMOLLM2_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN25_SYSTEM  "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define QWEN2_SYSTEM   "You are a helpful assistant."
#define DEEPSEEK_SYSTEM                                                                                                \
	"You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and " \
	"you only answer questions related to computer science. For politically sensitive questions, security and "    \
	"privacy issues, and other non-computer science questions, you will refuse to answer"

#define CHATML(name, second_mark, system)                                                              \
	{                                                                                              \
		.family = name, .mark = { "<|im_start|>", "!<|im_sep|>", second_mark },                \
		.before = { "<|im_start|>system\n", "<|im_start|>user\n", "<|im_start|>assistant\n" }, \
		.after = { "<|im_end|>\n", "<|im_end|>\n", "<|im_end|>\n" }, .system_default = system, \
		.generate = "<|im_start|>assistant\n"                                                  \
	}
#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define MISTRAL(name, first_mark, second_mark, open, close, space, last)                                          \
	{                                                                                                         \
		.family = name, .mark = { first_mark, second_mark, "eos_token", "!SYSTEM_PROMPT" },               \
		.before = { NULL, open, space }, .after = { "", close, EOS }, .join = "\n\n", .system_last = last \
	}

static const struct chat_row CHAT[] = {
	CHATML("smollm2", SMOLLM2_SYSTEM, SMOLLM2_SYSTEM),
	CHATML("qwen2.5", QWEN25_SYSTEM, QWEN25_SYSTEM),
	CHATML("qwen2", QWEN2_SYSTEM, QWEN2_SYSTEM),
	CHATML("chatml", NULL, NULL),
	{ .family = "phi4",
	  .mark = { "<|im_start|>", "<|im_sep|>" },
	  .before = { "<|im_start|>system<|im_sep|>", "<|im_start|>user<|im_sep|>", "<|im_start|>assistant<|im_sep|>" },
	  .after = { "<|im_end|>", "<|im_end|>", "<|im_end|>" },
	  .generate = "<|im_start|>assistant<|im_sep|>" },
	/* The date is the one that the template falls back to: the model sees a constant, as the numerical contract asks. */
	{ .family = "llama3.1",
	  .mark = { "<|start_header_id|>", "<|eot_id|>", "Cutting Knowledge Date: December 2023", "26 Jul 2024" },
	  .before = { HEADER("system") "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
		      HEADER("user"), HEADER("assistant") },
	  .after = { "<|eot_id|>", "<|eot_id|>", "<|eot_id|>" },
	  .system_default = "",
	  .generate = HEADER("assistant"),
	  .trim = true },
	{ .family = "llama3",
	  .mark = { "<|start_header_id|>", "<|eot_id|>", "!Cutting Knowledge" },
	  .before = { HEADER("system"), HEADER("user"), HEADER("assistant") },
	  .after = { "<|eot_id|>", "<|eot_id|>", "<|eot_id|>" },
	  .generate = HEADER("assistant"),
	  .trim = true },
	{ .family = "gemma",
	  .mark = { "<start_of_turn>" },
	  .before = { NULL, "<start_of_turn>user\n", "<start_of_turn>model\n" },
	  .after = { "", "<end_of_turn>\n", "<end_of_turn>\n" },
	  .join = "\n\n",
	  .generate = "<start_of_turn>model\n",
	  .trim = true },
	{ .family = "phi3",
	  .mark = { "<|user|>", "<|assistant|>", "<|end|>" },
	  .before = { "<|system|>\n", "<|user|>\n", "<|assistant|>\n" },
	  .after = { "<|end|>\n", "<|end|>\n", "<|end|>\n" },
	  .generate = "<|assistant|>\n" },
	{ .family = "zephyr",
	  .mark = { "<|user|>", "<|assistant|>", "eos_token" },
	  .before = { "<|system|>\n", "<|user|>\n", "<|assistant|>\n" },
	  .after = { EOS "\n", EOS "\n", EOS "\n" },
	  .generate = "<|assistant|>\n" },
	{ .family = "llama2",
	  .mark = { "[INST]", "<<SYS>>" },
	  .before = { NULL, BOS "[INST] ", " " },
	  .after = { "", " [/INST]", " " EOS },
	  .system_open = "<<SYS>>\n",
	  .join = "\n<</SYS>>\n\n",
	  .trim = true },
	MISTRAL("mistral-v1", " [INST] ", " [/INST]", " [INST] ", " [/INST]", " ", false),
	MISTRAL("mistral", "[INST] ", " [/INST]", "[INST] ", " [/INST]", "", false),
	MISTRAL("mistral-v3", "[INST] ", "[/INST]", "[INST] ", "[/INST]", " ", true),
	MISTRAL("mistral-tekken", "[INST]", "[/INST]", "[INST]", "[/INST]", "", true),
	{ .family = "deepseek",
	  .mark = { "### Instruction:", "### Response:", "<|EOT|>" },
	  .before = { "", "### Instruction:\n", "### Response:\n" },
	  .after = { "", "\n", "\n<|EOT|>\n" },
	  .system_default = DEEPSEEK_SYSTEM "\n",
	  .generate = "### Response:\n" },
	{ .family = "alpaca",
	  .mark = { "### Instruction:", "### Response:" },
	  .before = { "", "### Instruction:\n", "### Response:\n" },
	  .after = { "\n\n", "\n\n", "\n\n" },
	  .generate = "### Response:\n" },
	{ .family = "vicuna",
	  .mark = { "USER: ", "ASSISTANT: " },
	  .before = { "", "USER: ", "ASSISTANT: " },
	  .after = { "\n\n", "\n", EOS "\n" },
	  .generate = "ASSISTANT:" },
};

static bool matches(const char *chat_template, const char *mark)
{
	return *mark == '!' ? !strstr(chat_template, mark + 1) : strstr(chat_template, mark) != NULL;
}

const struct chat_row *chat_recognise(const char *chat_template)
{
	for (size_t i = 0; chat_template && i < sizeof(CHAT) / sizeof(CHAT[0]); i++) {
		bool all = true;

		for (int k = 0; k < CHAT_MARK_MAX; k++)
			all = all && (!CHAT[i].mark[k] || matches(chat_template, CHAT[i].mark[k]));
		if (all)
			return &CHAT[i];
	}
	return NULL;
}

const char *vocab_chat_family(const struct vocab *v)
{
	return v->chat ? v->chat->family : NULL;
}

struct sink {
	const struct vocab *v;
	char *out;
	size_t n, cap;
	bool full;
};

static void put(struct sink *k, const char *p, size_t n)
{
	if (k->full || n > k->cap - k->n) {
		k->full = true;
		return;
	}
	if (n)
		memcpy(k->out + k->n, p, n);
	k->n += n;
}

static void put_token(struct sink *k, int32_t id)
{
	struct text_span t = vocab_token_bytes(k->v, (uint32_t)id, false, true);

	if (id >= 0)
		put(k, t.p, t.n);
}

/* A string of a row; NULL is empty. */
static void put_text(struct sink *k, const char *z)
{
	for (; z && *z; z++) {
		if (*z == *EOS)
			put_token(k, vocab_eos(k->v));
		else if (*z != *BOS)
			put(k, z, 1);
		else if (k->n)
			put_token(k, vocab_bos(k->v));
	}
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void put_body(struct sink *k, const struct chat_row *c, struct text_span t)
{
	while (c->trim && t.n && is_blank(t.p[t.n - 1]))
		t.n--;
	for (; c->trim && t.n && is_blank(t.p[0]); t.n--)
		t.p++;
	put(k, t.p, t.n);
}

/* system: what opens this message's text in families without a turn for it, else NULL. */
static void put_message(struct sink *k, const struct chat_row *c, const struct chat_message *m,
			const struct text_span *system)
{
	put_text(k, c->before[m->role]);
	if (system) {
		put_text(k, c->system_open);
		put_body(k, c, *system);
		put_text(k, c->join);
	}
	put_body(k, c, m->text);
	put_text(k, c->after[m->role]);
}

/* Which user's message the system's text opens; n if none. */
static size_t find_host(const struct chat_row *c, const struct chat_message *msg, size_t n)
{
	size_t host = n;

	for (size_t i = n; i-- > 0 && !(c->system_last && host < n);)
		host = msg[i].role == CHAT_USER ? i : host;
	return host;
}

static bool is_well_formed(const struct chat_row *c, const struct chat_message *msg, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (msg[i].role < CHAT_SYSTEM || msg[i].role > CHAT_ASSISTANT ||
		    (i && msg[i].role == CHAT_SYSTEM && !c->before[CHAT_SYSTEM]))
			return false;
	return true;
}

ssize_t vocab_chat_render(const struct vocab *v, const struct chat_message *msg, size_t n_msg, bool add_generation,
			  char *out, size_t out_len)
{
	const struct chat_row *c = v->chat;
	struct sink k = { .v = v, .out = out, .cap = out_len };
	bool has_guest;
	size_t host;

	if (!c)
		return -ENOTSUP;
	if (!is_well_formed(c, msg, n_msg))
		return -EINVAL;
	if (n_msg && c->system_default && msg[0].role != CHAT_SYSTEM)
		put_message(&k, c,
			    &(struct chat_message){ CHAT_SYSTEM,
						    { c->system_default, (uint32_t)strlen(c->system_default) } },
			    NULL);
	has_guest = n_msg && msg[0].role == CHAT_SYSTEM && !c->before[CHAT_SYSTEM];
	host = has_guest ? find_host(c, msg, n_msg) : n_msg;
	for (size_t i = has_guest; i < n_msg; i++)
		put_message(&k, c, &msg[i], i == host ? &msg[0].text : NULL);
	if (add_generation)
		put_text(&k, c->generate);
	return k.full ? -ENOBUFS : (ssize_t)k.n;
}
