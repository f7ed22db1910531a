/*
 * Chat templates. Models carry theirs as a Jinja program; nearly all are one of a few formats, so the family is recognised
 * by marks in that program, and the format is data: what stands before and after each role's text. The first row whose
 * marks all occur is the family; one more family is one more row.
 */
#include "daemon/text/vocab.h"

#include <string.h>

#define CHAT_MARK_MAX 3

struct chat_row {
	const char *family;
	const char *mark[CHAT_MARK_MAX]; /* all occur in the template */
	const char *open;                /* once, at the front */
	const char *before[3],
		*after[3]; /* by role; before[CHAT_SYSTEM] NULL: the system's text goes into the first user's */
	const char *join;  /* between the system's text and that of the first user, if they share a turn */
	const char *system_default; /* NULL: none */
	const char *generate;
	bool trim; /* white space around each text is dropped */
};

#define SMOLLM2_SYSTEM "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN25_SYSTEM  "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define CHATML                                                                       \
	{ "<|im_start|>system\n", "<|im_start|>user\n", "<|im_start|>assistant\n" }, \
	{                                                                            \
		"<|im_end|>\n", "<|im_end|>\n", "<|im_end|>\n"                       \
	}

static const struct chat_row CHAT[] = {
	{ "smollm2",
	  { "<|im_start|>", SMOLLM2_SYSTEM },
	  "",
	  CHATML,
	  "",
	  SMOLLM2_SYSTEM,
	  "<|im_start|>assistant\n",
	  false },
	{ "qwen2.5",
	  { "<|im_start|>", QWEN25_SYSTEM },
	  "",
	  CHATML,
	  "",
	  QWEN25_SYSTEM,
	  "<|im_start|>assistant\n",
	  false },
	{ "chatml", { "<|im_start|>" }, "", CHATML, "", NULL, "<|im_start|>assistant\n", false },
	{ "llama3",
	  { "<|start_header_id|>", "<|eot_id|>" },
	  "",
	  { "<|start_header_id|>system<|end_header_id|>\n\n", "<|start_header_id|>user<|end_header_id|>\n\n",
	    "<|start_header_id|>assistant<|end_header_id|>\n\n" },
	  { "<|eot_id|>", "<|eot_id|>", "<|eot_id|>" },
	  "",
	  NULL,
	  "<|start_header_id|>assistant<|end_header_id|>\n\n",
	  true },
	{ "gemma",
	  { "<start_of_turn>" },
	  "",
	  { NULL, "<start_of_turn>user\n", "<start_of_turn>model\n" },
	  { "", "<end_of_turn>\n", "<end_of_turn>\n" },
	  "\n\n",
	  NULL,
	  "<start_of_turn>model\n",
	  true },
	{ "phi3",
	  { "<|user|>", "<|assistant|>", "<|end|>" },
	  "",
	  { "<|system|>\n", "<|user|>\n", "<|assistant|>\n" },
	  { "<|end|>\n", "<|end|>\n", "<|end|>\n" },
	  "",
	  NULL,
	  "<|assistant|>\n",
	  false },
	{ "zephyr",
	  { "<|user|>", "<|assistant|>", "eos_token" },
	  "",
	  { "<|system|>\n", "<|user|>\n", "<|assistant|>\n" },
	  { "</s>\n", "</s>\n", "</s>\n" },
	  "",
	  NULL,
	  "<|assistant|>\n",
	  false },
	{ "llama2",
	  { "[INST]", "<<SYS>>" },
	  "",
	  { NULL, "[INST] ", " " },
	  { "<</SYS>>\n\n", " [/INST]", " </s><s>" },
	  "",
	  NULL,
	  "",
	  true },
	{ "mistral",
	  { "[INST]", "[/INST]" },
	  "",
	  { NULL, "[INST] ", " " },
	  { "", " [/INST]", "</s>" },
	  "\n\n",
	  NULL,
	  "",
	  false },
	{ "deepseek",
	  { "### Instruction:", "### Response:" },
	  "",
	  { "", "### Instruction:\n", "### Response:\n" },
	  { "", "\n", "\n<|EOT|>\n" },
	  "",
	  NULL,
	  "### Response:",
	  false },
	{ "vicuna",
	  { "USER: ", "ASSISTANT: " },
	  "",
	  { "", "USER: ", "ASSISTANT: " },
	  { "\n\n", "\n", "</s>\n" },
	  "",
	  NULL,
	  "ASSISTANT:",
	  false },
};

const struct chat_row *chat_recognise(const char *chat_template)
{
	for (size_t i = 0; chat_template && i < sizeof(CHAT) / sizeof(CHAT[0]); i++) {
		bool all = true;

		for (int k = 0; k < CHAT_MARK_MAX && CHAT[i].mark[k]; k++)
			all = all && strstr(chat_template, CHAT[i].mark[k]);
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

static void puts_sink(struct sink *k, const char *z)
{
	put(k, z, strlen(z));
}

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void put_body(struct sink *k, const struct chat_row *c, struct text_span t)
{
	while (c->trim && t.n && blank(t.p[t.n - 1]))
		t.n--;
	for (; c->trim && t.n && blank(t.p[0]); t.n--)
		t.p++;
	put(k, t.p, t.n);
}

/* In families without a turn for the system, its text opens the first user's. */
static void put_message(struct sink *k, const struct chat_row *c, const struct chat_message *m,
			const struct text_span *system)
{
	puts_sink(k, c->before[m->role]);
	if (system) {
		bool tagged = !strcmp(c->family, "llama2");

		puts_sink(k, tagged ? "<<SYS>>\n" : "");
		put_body(k, c, *system);
		puts_sink(k, tagged ? "\n<</SYS>>\n\n" : c->join);
	}
	put_body(k, c, m->text);
	puts_sink(k, c->after[m->role]);
}

ssize_t vocab_chat_render(const struct vocab *v, const struct chat_message *msg, size_t n_msg, bool add_generation,
			  char *out, size_t out_len)
{
	const struct chat_row *c = v->chat;
	struct sink k = { .out = out, .cap = out_len };
	const struct text_span *system = NULL;

	if (!c)
		return -ENOTSUP;
	for (size_t i = 0; i < n_msg; i++)
		if (msg[i].role < CHAT_SYSTEM || msg[i].role > CHAT_ASSISTANT)
			return -EINVAL;
	puts_sink(&k, c->open);
	if (n_msg && c->system_default && msg[0].role != CHAT_SYSTEM)
		put_message(&k, c,
			    &(struct chat_message){ CHAT_SYSTEM,
						    { c->system_default, (uint32_t)strlen(c->system_default) } },
			    NULL);
	for (size_t i = 0; i < n_msg; i++) {
		if (msg[i].role == CHAT_SYSTEM && !c->before[CHAT_SYSTEM]) {
			if (i)
				return -EINVAL;
			system = &msg[i].text;
			continue;
		}
		put_message(&k, c, &msg[i], msg[i].role == CHAT_USER ? system : NULL);
		if (msg[i].role == CHAT_USER)
			system = NULL;
	}
	if (add_generation)
		puts_sink(&k, c->generate);
	return k.full ? -ENOBUFS : (ssize_t)k.n;
}
