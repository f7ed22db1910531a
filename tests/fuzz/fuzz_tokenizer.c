/*
 * Any text, both tokenizers: the tokens' bytes are the text, or it is refused. An input that begins with 0xff is repeated up to
 * 64 KiB, so that a case which takes quadratic time trips the fuzzer's time limit.
 */
#include "tests/fuzz/bytes_vocab.h"

#define TEXT_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct vocab *vocab[2];
	static struct vocab_scratch *s;
	static char text[TEXT_MAX];
	static uint32_t id[TEXT_MAX + 1];
	size_t len = 0, copies;

	if (!s) {
		vocab[0] = bytes_vocab(false);
		vocab[1] = bytes_vocab(true);
		s = vocab_scratch_new(TEXT_MAX);
	}
	if (n < 2 || n > TEXT_MAX)
		return 0;
	copies = data[0] < 255 ? 1 : TEXT_MAX / n;
	for (size_t i = 0; i < copies; i++, len += n - 1)
		memcpy(text + len, data + 1, n - 1);
	for (int k = 0; k < 2; k++) {
		int n_id = vocab_tokenize(vocab[k], s, text, len, false, n & 1, id, TEXT_MAX + 1);
		size_t at = 0;

		if (n_id < 0)
			abort();
		for (int i = 0; i < n_id; i++) {
			struct text_span t = vocab_token_bytes(vocab[k], id[i], false, true);

			if (k == 1 && t.n && t.p[0] == ' ' &&
			    (at == len || text[at] != ' ' || i == 0 ||
			     (id[i - 1] >= 256 && id[i - 1] < 256 + N_CONTROL)))
				t = (struct text_span){ t.p + 1, t.n - 1 }; /* the space that SPM puts in front */
			if (t.n > len - at || memcmp(text + at, t.p, t.n))
				abort();
			at += t.n;
		}
		if (at != len)
			abort();
	}
	return 0;
}
