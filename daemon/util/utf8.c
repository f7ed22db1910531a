#include "daemon/util/utf8.h"

#include <stdbool.h>
#include <string.h>

/* The length a lead byte announces and the range its second byte must lie in; 0 for no lead byte. */
static size_t lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
	*lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The bytes at p that agree with the character its first byte announces, of at most n; *want is its length. */
static size_t agreeing(const char *p, size_t n, size_t *want)
{
	unsigned char lo, hi;
	size_t i;

	*want = lead((unsigned char)p[0], &lo, &hi);
	for (i = 1; i < *want && i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c < lo || c > hi)
			break;
		lo = 0x80;
		hi = 0xbf;
	}
	return i;
}

size_t utf8_char_len(const char *p, size_t n)
{
	size_t want;

	if (!n)
		return 0;
	return agreeing(p, n, &want) >= want ? want : 0;
}

/* Of a whole character. */
static bool is_space(const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;

	if (len == 1)
		return u[0] == ' ' || (u[0] >= 0x09 && u[0] <= 0x0d);
	if (len == 2) /* U+0085, U+00A0 */
		return u[0] == 0xc2 && (u[1] == 0x85 || u[1] == 0xa0);
	if (len != 3)
		return false;
	if (u[0] == 0xe2 && u[1] == 0x80) /* U+2000 … U+200A, U+2028, U+2029, U+202F */
		return u[2] <= 0x8a || u[2] == 0xa8 || u[2] == 0xa9 || u[2] == 0xaf;
	return !memcmp(p, "\xe1\x9a\x80", 3) || !memcmp(p, "\xe2\x81\x9f", 3) || !memcmp(p, "\xe3\x80\x80", 3);
}

size_t utf8_space_len(const char *p, size_t n)
{
	size_t len = utf8_char_len(p, n);

	return is_space(p, len) ? len : 0;
}

size_t utf8_space_before(const char *p, size_t n)
{
	for (size_t len = 1; len <= 3 && len <= n; len++)
		if (utf8_char_len(p + n - len, len) == len)
			return is_space(p + n - len, len) ? len : 0;
	return 0;
}

size_t utf8_whole(const char *p, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		size_t want;

		if (agreeing(p + n - back, back, &want) == back && want > back)
			return n - back;
	}
	return n;
}

uint32_t utf8_decode(const char *p, size_t len)
{
	uint32_t cp = (unsigned char)p[0];

	if (len == 1)
		return cp;
	cp &= 0x7fu >> len;
	for (size_t i = 1; i < len; i++)
		cp = cp << 6 | ((unsigned char)p[i] & 0x3f);
	return cp;
}

size_t utf8_encode(char *out, uint32_t cp)
{
	size_t len = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	if (len == 1) {
		out[0] = (char)cp;
		return 1;
	}
	for (size_t i = len - 1; i; i--, cp >>= 6)
		out[i] = (char)(0x80 | (cp & 0x3f));
	out[0] = (char)(0xf00u >> len | cp);
	return len;
}
