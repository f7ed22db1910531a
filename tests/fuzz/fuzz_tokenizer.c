/*
 * Any text, for SPM and every pre-tokenizer of BPE: the tokens' bytes are the text, or canonically equivalent to it where the
 * family takes texts in form C, wherever control tokens are allowed. An input that begins with 0xff, 0 is repeated up to 256 bytes,
 * past what is done otherwise with short pieces; one in 16 of these up to 1 KiB; one in 256 up to 16 KiB, so that a case of more
 * than quadratic time trips the fuzzer's time limit, while the long ones do not take most of the time.
 */
#include "daemon/text/nfc.h"
#include "daemon/text/pre.h"
#include "daemon/util/utf8.h"
#include "tests/fuzz/bytes_vocab.h"

#define TEXT_MAX   (64u << 10)
#define REPEAT_MAX (16u << 10)
#define ROW_MAX    64u

static struct vocab *vocab[1 + ROW_MAX]; /* SPM, then BPE by row */
static bool is_nfc[1 + ROW_MAX];
static uint32_t n_vocab;

static void make_vocabs(void)
{
	vocab[n_vocab++] = bytes_vocab(true);
	for (uint32_t i = 0; pre_row(i); i++) {
		char name[64];

		if (i == ROW_MAX)
			abort();
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(pre_row(i)->names, " "), pre_row(i)->names);
		is_nfc[n_vocab] = pre_is_nfc(pre_row(i), name);
		vocab[n_vocab++] = bytes_vocab_pre(false, name);
	}
}

/* Every other stretch of `width` bytes; 0: none, 1: all. How many ranges. */
static size_t make_ranges(struct jinja_range *range, size_t len, uint32_t width)
{
	size_t n = 0;

	if (width == 1)
		range[n++] = (struct jinja_range){ 0, UINT32_MAX };
	else if (width)
		for (uint32_t at = 0; at < len; at += 2 * width)
			range[n++] = (struct jinja_range){ at, at + width };
	return n;
}

/* How often the input is in the text. */
static size_t count_copies(const uint8_t *data, size_t n)
{
	uint32_t h = 0;

	if (data[0] < 255 || data[1])
		return 1;
	for (size_t i = 0; i < n; i++)
		h = (h ^ data[i]) * 0x9e3779b1u;
	h = h >> 24 == 0 ? REPEAT_MAX : h >> 28 == 0 ? REPEAT_MAX / 16 : REPEAT_MAX / 64;
	return n < h ? h / n : 1;
}

static void check(const char *text, size_t len, const uint32_t *id, int n_id, uint32_t k)
{
	size_t at = 0;

	for (int i = 0; i < n_id; i++) {
		struct text_span t = vocab_token_bytes(vocab[k], id[i], false, true);

		if (k == 0 && t.n && t.p[0] == ' ' &&
		    (at == len || text[at] != ' ' || i == 0 || (id[i - 1] >= 256 && id[i - 1] < 256 + N_CONTROL)))
			t = (struct text_span){ t.p + 1, t.n - 1 }; /* the space that SPM puts in front */
		if (t.n > len - at || memcmp(text + at, t.p, t.n))
			abort();
		at += t.n;
	}
	if (at != len)
		abort();
}

/* Stretches of UTF-8 in form C, what stands between them as it is. */
static size_t form_c(char *out, const char *text, size_t n)
{
	static _Alignas(int32_t) char room[TEXT_MAX * NFC_GROWTH * NFC_ROOM_BYTES];
	size_t n_out = 0;

	for (size_t at = 0, end; at < n; at = end) {
		for (end = at; end < n && utf8_char_len(text + end, n - end);)
			end += utf8_char_len(text + end, n - end);
		n_out += nfc_write(out + n_out, text + at, end - at, room);
		if (end < n)
			out[n_out++] = text[end++];
	}
	return n_out;
}

/* Text that is in form C comes back as it is. */
static void check_nfc(const char *text, size_t len, const uint32_t *id, int n_id, uint32_t k)
{
	static char got[TEXT_MAX * NFC_GROWTH], a[TEXT_MAX * NFC_GROWTH * NFC_GROWTH], b[TEXT_MAX * NFC_GROWTH];
	size_t n = 0, n_want = form_c(b, text, len);

	if (n_want == len && !memcmp(b, text, n_want)) {
		check(text, len, id, n_id, k);
		return;
	}
	for (int i = 0; i < n_id; i++) {
		struct text_span t = vocab_token_bytes(vocab[k], id[i], false, true);

		if (t.n > sizeof(got) - n)
			abort();
		memcpy(got + n, t.p, t.n);
		n += t.n;
	}
	n = form_c(a, got, n);
	if (n != n_want || memcmp(a, b, n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct jinja_range range[TEXT_MAX / 2];
	static struct vocab_scratch *s;
	static char text[TEXT_MAX];
	static uint32_t id[VOCAB_ID_MAX(TEXT_MAX)];
	size_t len = 0, copies, n_range;
	uint32_t k;
	int n_id;

	if (!s) {
		make_vocabs();
		s = vocab_scratch_new(TEXT_MAX * VOCAB_GROWTH);
	}
	if (n < 3 || n > TEXT_MAX)
		return 0;
	copies = count_copies(data, n);
	for (size_t i = 0; i < copies; i++, len += n - 2)
		memcpy(text + len, data + 2, n - 2);
	k = (data[0] + (uint32_t)n) % n_vocab;
	n_range = make_ranges(range, len, data[1]);
	n_id = vocab_tokenize_mixed(vocab[k], s, text, len, false, range, n_range, id, VOCAB_ID_MAX(TEXT_MAX));
	if (n_id < 0)
		abort();
	if (is_nfc[k])
		check_nfc(text, len, id, n_id, k);
	else
		check(text, len, id, n_id, k);
	return 0;
}
