#include "daemon/text/utf8.h"

#include <stdbool.h>

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

size_t utf8_whole(const char *p, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		size_t want;

		if (agreeing(p + n - back, back, &want) == back && want > back)
			return n - back;
	}
	return n;
}
