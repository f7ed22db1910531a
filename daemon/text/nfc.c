/*
 * utf8proc knows how characters decompose and compose. The order of marks between the two is made here: utf8proc's own way takes
 * quadratic time for a long run of them.
 */
#include "daemon/text/nfc.h"

#include "daemon/text/unicode.h"
#include "daemon/util/utf8.h"

#include <utf8proc.h>

#include <stdint.h>
#include <string.h>

#define SHORT_RUN 16u /* marks that sort by insertion */

/* Ranges of characters that stay as they are and compose with none before them: most of what is written. */
static const struct {
	uint32_t from, to;
} PLAIN[] = {
	{ 0, 0x2ff },         /* Latin */
	{ 0x400, 0x482 },     /* Cyrillic */
	{ 0x2010, 0x2027 },   /* dashes, quotes */
	{ 0x3001, 0x3029 },   /* punctuation of Chinese and Japanese */
	{ 0x3041, 0x3096 },   /* Hiragana */
	{ 0x30a1, 0x30fe },   /* Katakana */
	{ 0x3400, 0x9fff },   /* Chinese */
	{ 0xac00, 0xd7a3 },   /* Korean */
	{ 0xff01, 0xffdc },   /* wide forms */
	{ 0x1f300, 0x1faff }, /* pictures */
};

static bool is_plain(uint32_t c)
{
	for (size_t i = 0; i < sizeof(PLAIN) / sizeof(PLAIN[0]) && c >= PLAIN[i].from; i++)
		if (c <= PLAIN[i].to)
			return true;
	return false;
}

bool nfc_is_plain(const char *p, size_t n)
{
	for (size_t at = 0, len; at < n; at += len) {
		len = (unsigned char)p[at] < 0x80 ? 1 : utf8_char_len(p + at, n - at);
		if (len > 1 && !is_plain(utf8_decode(p + at, len)))
			return false;
	}
	return true;
}

static void sort_short(int32_t *c, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		int32_t mark = c[i];
		size_t k = i;

		for (; k && unicode_combining((uint32_t)c[k - 1]) > unicode_combining((uint32_t)mark); k--)
			c[k] = c[k - 1];
		c[k] = mark;
	}
}

/* By class, equals in their order. */
static void sort_marks(int32_t *c, size_t n, int32_t *spare)
{
	size_t begin[257] = { 0 };

	if (n <= SHORT_RUN) {
		sort_short(c, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		begin[unicode_combining((uint32_t)c[i]) + 1]++;
	for (size_t i = 1; i < 257; i++)
		begin[i] += begin[i - 1];
	for (size_t i = 0; i < n; i++)
		spare[begin[unicode_combining((uint32_t)c[i])]++] = c[i];
	memcpy(c, spare, n * sizeof(*c));
}

/* Form D -> c. Returns how many characters. */
static size_t decompose(int32_t *c, const char *p, size_t n, int32_t *spare)
{
	size_t n_char = 0, run = 0; /* the marks since the last starter begin at run */

	for (size_t at = 0, len; at < n; at += len) {
		uint32_t d[UNICODE_DECOMPOSED_MAX];
		int n_d;

		len = utf8_char_len(p + at, n - at);
		n_d = unicode_decompose(utf8_decode(p + at, len), d);
		for (int i = 0; i < n_d; i++) {
			if (!unicode_combining(d[i])) {
				sort_marks(c + run, n_char - run, spare);
				run = n_char + 1;
			}
			c[n_char++] = (int32_t)d[i];
		}
	}
	sort_marks(c + run, n_char - run, spare);
	return n_char;
}

size_t nfc_write(char *out, const char *p, size_t n, void *room)
{
	int32_t *c = room, *spare = c + n * NFC_ROOM_BYTES / 2 / sizeof(*c);
	size_t n_char = decompose(c, p, n, spare), len = 0;
	utf8proc_ssize_t n_c =
		utf8proc_normalize_utf32(c, (utf8proc_ssize_t)n_char, UTF8PROC_COMPOSE | UTF8PROC_STABLE);

	for (utf8proc_ssize_t i = 0; i < n_c; i++)
		len += utf8_encode(out + len, (uint32_t)c[i]);
	return len;
}
