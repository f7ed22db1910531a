#include "daemon/jinja/number.h"

#include "daemon/jinja/object.h"

#include <errno.h>
#include <stdlib.h>

#define TEXT_MAX 400

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

bool jinja_parse_int(const char *p, size_t n, int base, int64_t *i)
{
	char text[TEXT_MAX], *end, *digits = text;

	if (!plain(p, n, text) || (base && (base < 2 || base > 36)))
		return false;
	digits += *digits == '-' || *digits == '+';
	if (*digits == '-' || *digits == '+' || *digits == ' ' || !*digits)
		return false;
	if (digits[0] == '0' && digits[1]) {
		char c = digits[1] | 32;
		int says = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;

		if (says && (!base || base == says)) {
			base = says;
			digits[1] = '0';
		}
	}
	errno = 0;
	*i = strtoll(text, &end, base ? base : 10);
	return !errno && !*end && end > digits;
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
