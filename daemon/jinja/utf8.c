/*
 * UTF-8, strictly: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#include "daemon/jinja/utf8.h"

uint32_t jinja_utf8_get(const char *p, size_t n, size_t *len)
{
	const unsigned char *b = (const unsigned char *)p;
	uint32_t c = b[0];
	size_t k = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	*len = 1;
	if (k == 1)
		return c;
	if (!k || k > n)
		return UTF8_LONE + c;
	c &= 0x7fu >> k;
	for (size_t i = 1; i < k; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return UTF8_LONE + b[0];
		c = c << 6 | (b[i] & 0x3f);
	}
	if ((k == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) || (k == 4 && (c < 0x10000 || c > 0x10ffff)))
		return UTF8_LONE + b[0];
	*len = k;
	return c;
}

size_t jinja_utf8_put(char *to, uint32_t c)
{
	if (c < 0x80 || (c >= UTF8_LONE + 0x80 && c <= UTF8_LONE + 0xff)) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}
