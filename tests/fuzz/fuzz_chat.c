/*
 * Chat data as a client sends it: split, rendered by a few templates, tokenized. Whatever the bytes are, ids stay within the
 * vocabulary, what the template wrote ascends within the text, and where nothing asks for it no control token comes from a message
 * alone: a template that writes none yields none.
 */
#include "tests/fuzz/bytes_vocab.h"

#include "daemon/prompt/messages.h"

#define TEXT_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const TEMPLATE[] = {
	"{% for m in messages %}{{ m.content }}{{ m | tojson }}{% endfor %}{{ tools | tojson }}",
	"{% for m in messages %}{{ '<|' + m.role + '|>' + (m.content or '') | string | trim }}{% for c in m.tool_calls "
	"or [] %}{{ c }}"
	"{% endfor %}<|a|>{% endfor %}{% if add_generation_prompt %}<|ab|>{% endif %}",
};

#define N_TEMPLATE (sizeof(TEMPLATE) / sizeof(TEMPLATE[0]))

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct chat *make(const char *text)
{
	const struct chat_token token[] = { { "bos_token", { "<|a|>", 5 } }, { "eos_token", { "<|ab|>", 6 } } };
	const struct chat_source src = { .text = { text, (uint32_t)strlen(text) }, .token = token, .n_token = 2 };
	struct chat *c = NULL;
	char err[256];

	require(chat_new(&c, &src, err, sizeof(err)) == 0);
	return c;
}

static void check(const struct vocab *v, struct vocab_scratch *s, const struct chat_prompt *p, bool may_mark)
{
	static uint32_t id[CHAT_OUTPUT_BYTES(TEXT_MAX) + 1];
	uint32_t end = 0;
	int n_id;

	for (size_t i = 0; i < p->n_own; i++) {
		require(p->own[i].begin >= end && p->own[i].end > p->own[i].begin);
		end = p->own[i].end;
	}
	n_id = chat_tokenize(p, v, s, true, false, id, sizeof(id) / sizeof(id[0]));
	require(n_id >= 0);
	for (int i = 0; i < n_id; i++)
		require(id[i] < vocab_size(v) && (may_mark || (id[i] != 256 && id[i] != 257)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct chat_message message[GYRE_MESSAGE_MAX];
	static struct chat *chat[N_TEMPLATE + 1];
	static struct chat_scratch *scratch[N_TEMPLATE + 1];
	static struct vocab *vocab;
	static struct vocab_scratch *tokens;
	struct text_span variables;
	char err[256];
	int count;

	if (!vocab) {
		vocab = bytes_vocab(false);
		tokens = vocab_scratch_new(CHAT_OUTPUT_BYTES(TEXT_MAX));
		for (size_t i = 0; i <= N_TEMPLATE; i++) {
			chat[i] = i < N_TEMPLATE ? make(TEMPLATE[i]) : bytes_chat("llama3");
			scratch[i] = chat_scratch_new(chat[i], TEXT_MAX);
		}
	}
	if (n > TEXT_MAX)
		return 0;
	count = messages_split(data, n, message, &variables, err, sizeof(err));
	require(count > 0 || count == -22);
	for (size_t i = 0; count > 0 && i <= N_TEMPLATE; i++) {
		struct chat_prompt p;

		if (chat_render(chat[i], scratch[i], message, (size_t)count, variables, &p, err, sizeof(err)) == 0)
			check(vocab, tokens, &p, i > 0);
	}
	return 0;
}
