#include "daemon/jinja/number.h"

#include "daemon/jinja/big.h"
#include "daemon/jinja/object.h"

#include <errno.h>
#include <stdlib.h>

#define TEXT_MAX 4400 /* as many digits as an integer may have, and what stands around them */

/* Without blanks around and underscores between digits. */
static bool plain(const char *p, size_t n, char text[TEXT_MAX])
{
	size_t k = 0;

	for (; n && (*p == ' ' || (*p >= '\t' && *p <= '\r')); p++)
		n--;
	while (n && (p[n - 1] == ' ' || (p[n - 1] >= '\t' && p[n - 1] <= '\r')))
		n--;
	if (!n || n >= TEXT_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!p[i])
			return false;
		if (p[i] != '_')
			text[k++] = p[i];
		else if (!i || i + 1 == n || p[i - 1] == '_' || p[i + 1] == '_')
			return false;
	}
	text[k] = 0;
	return true;
}

/* 0: *i is it; 1: text[…], of that *base, is past 64 bits; -1: not an integer. */
static int scan_int(const char *p, size_t n, int *given, int64_t *i, char text[TEXT_MAX])
{
	char *end, *digits = text;
	int base = *given;

	if (!plain(p, n, text) || (base && (base < 2 || base > 36)))
		return -1;
	digits += *digits == '-' || *digits == '+';
	if (*digits == '-' || *digits == '+' || *digits == ' ' || !*digits)
		return -1;
	if (digits[0] == '0' && digits[1]) {
		char c = digits[1] | 32;
		int says = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;

		if (says && (!base || base == says)) {
			base = says;
			digits[1] = '0';
		}
	}
	errno = 0;
	*given = base ? base : 10;
	*i = strtoll(text, &end, *given);
	return *end || end == digits ? -1 : errno == ERANGE;
}

bool jinja_parse_int(const char *p, size_t n, int base, int64_t *i)
{
	char text[TEXT_MAX];

	return scan_int(p, n, &base, i, text) == 0;
}

struct jinja_value *jinja_read_int(struct jinja_scratch *s, const char *p, size_t n, int base)
{
	char text[TEXT_MAX];
	int64_t i;
	int r = scan_int(p, n, &base, &i, text);

	if (r < 0)
		return NULL;
	return r ? jinja_big_parse(s, text, strlen(text), (unsigned)base) : jinja_int(s, i);
}

bool jinja_parse_float(const char *p, size_t n, double *f)
{
	char text[TEXT_MAX], *end;

	if (!plain(p, n, text))
		return false;
	for (const char *q = text; *q; q++)
		if (*q == 'x' || *q == 'X' || *q == '(')
			return false;
	*f = strtod(text, &end);
	return end > text && !*end;
}

double jinja_big_double(const struct jinja_value *v)
{
	char text[520];

	if (v->n >= sizeof(text))
		return v->s.p[0] == '-' ? -__builtin_inf() : __builtin_inf();
	memcpy(text, v->s.p, v->n);
	text[v->n] = 0;
	return strtod(text, NULL);
}
