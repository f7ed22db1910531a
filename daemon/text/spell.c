#include "daemon/text/spell.h"

#include <string.h>

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* Two hexadecimal digits; -1: they are none. */
static int hex_byte(const char *p)
{
	int hi = hex_digit(p[0]), lo = hex_digit(p[1]);

	return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

bool spell_byte(char *out, const char *p, size_t n)
{
	int byte = n == 6 && !memcmp(p, "<0x", 3) && p[5] == '>' ? hex_byte(p + 3) : -1;

	if (byte >= 0)
		*out = (char)byte;
	return byte >= 0;
}

ssize_t spell_plain(char *out, const char *p, size_t n)
{
	if (n)
		memcpy(out, p, n);
	return (ssize_t)n;
}

ssize_t spell_space(char *out, const char *p, size_t n)
{
	ssize_t k = 0;

	for (size_t i = 0; i < n; k++) {
		bool space = n - i >= SPELL_SPACE_LEN && !memcmp(p + i, SPELL_SPACE, SPELL_SPACE_LEN);

		out[k] = space ? ' ' : p[i];
		i += space ? SPELL_SPACE_LEN : 1;
	}
	return k;
}

/* The byte of an escape, from behind its backslash; *n: the characters that the escape takes there. */
static int escape(const char *p, size_t left, size_t *n)
{
	*n = left && p[0] == 'x' ? 3 : 1;
	if (left < *n)
		return -1;
	if (*n == 3)
		return hex_byte(p + 1);
	return (unsigned char)(p[0] == 't' ? '\t' : p[0] == 'n' ? '\n' : p[0] == 'r' ? '\r' : p[0]);
}

ssize_t spell_escaped(char *out, const char *p, size_t n)
{
	ssize_t k = 0;

	for (size_t i = 0, len; i < n; i += len) {
		int c = (unsigned char)p[i];

		len = 1;
		if (c == '\\') {
			c = escape(p + i + 1, n - i - 1, &len);
			len++;
		}
		if (c < 0)
			return -1;
		out[k++] = (char)c;
	}
	return k;
}
