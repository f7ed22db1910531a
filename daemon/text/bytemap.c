/*
 * GPT-2's vocabularies spell each byte as a printable character: the 188 bytes that print in Latin-1 stand for
 * themselves, the other 68, in ascending order, are U+0100 … U+0143.
 */
#include "daemon/text/vocab.h"

static bool prints(unsigned c)
{
	return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || c >= 0xae;
}

static int byte_of(unsigned cp)
{
	if (cp < 0x100)
		return prints(cp) ? (int)cp : -1;
	for (unsigned b = 0, next = 0x100; b < 0x100; b++)
		if (!prints(b) && next++ == cp)
			return (int)b;
	return -1;
}

ssize_t bytemap_decode(char *out, const char *p, size_t n)
{
	ssize_t k = 0;

	for (size_t i = 0; i < n; k++) {
		unsigned c = (unsigned char)p[i++];
		int b;

		if (c >= 0x80) { /* the characters in question all take two bytes */
			if (c < 0xc2 || c > 0xc5 || i == n || ((unsigned char)p[i] & 0xc0) != 0x80)
				return -1;
			c = (c & 0x1f) << 6 | ((unsigned char)p[i++] & 0x3f);
		}
		b = byte_of(c);
		if (b < 0)
			return -1;
		out[k] = (char)b;
	}
	return k;
}
