#include "daemon/jinja/unicode.h"

#include "daemon/jinja/unicode_case.h"
#include "daemon/jinja/unicode_class.h"

#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool in(const struct run *r, size_t n, uint32_t c)
{
	size_t low = 0, end = n;

	while (low < n) {
		size_t mid = (low + n) / 2;

		if (r[mid].last < c)
			low = mid + 1;
		else
			n = mid;
	}
	return low < end && r[low].first <= c && (c - r[low].first) % r[low].step == 0;
}

#define IN(table, c) in(table, COUNT(table), c)

bool jinja_is_printable(uint32_t c)
{
	return c < 0x7f ? c >= ' ' : !(c >= 0xd800 && c < 0xe000) && !IN(hidden, c);
}

bool jinja_is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || (c >= 0x1c && c <= ' ') || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool jinja_is_alpha(uint32_t c)
{
	return IN(letters, c);
}

bool jinja_is_digit(uint32_t c)
{
	return IN(digits, c);
}

bool jinja_is_decimal(uint32_t c)
{
	return IN(decimals, c);
}

bool jinja_is_numeric(uint32_t c)
{
	return IN(digits, c) || IN(numerics, c);
}

bool jinja_is_lower(uint32_t c)
{
	return IN(lowers, c);
}

bool jinja_is_upper(uint32_t c)
{
	return IN(uppers, c);
}

bool jinja_is_cased(uint32_t c)
{
	return IN(lowers, c) || IN(uppers, c) || IN(titles, c);
}

bool jinja_is_skipped(uint32_t c)
{
	return IN(skipped, c);
}

static int spelled(const struct spell *t, size_t n, uint32_t c, uint32_t as[3])
{
	size_t low = 0;

	while (low < n) {
		size_t mid = (low + n) / 2;

		if (t[mid].c == c) {
			for (int i = 0; i < 3; i++)
				as[i] = t[mid].as[i];
			return !as[1] ? 1 : !as[2] ? 2 : 3;
		}
		if (t[mid].c < c)
			low = mid + 1;
		else
			n = mid;
	}
	return 0;
}

static uint32_t shifted(const struct shift *t, size_t n, uint32_t c)
{
	size_t low = 0, end = n;

	while (low < end) {
		size_t mid = (low + end) / 2;

		if (t[mid].last < c)
			low = mid + 1;
		else
			end = mid;
	}
	if (low == n || c < t[low].first || (c - t[low].first) % t[low].step)
		return c;
	return c + (uint32_t)t[low].by;
}

int jinja_to_upper(uint32_t c, uint32_t as[3])
{
	int n = c < 0x80 ? 0 : spelled(upper_spelled, COUNT(upper_spelled), c, as);

	if (n)
		return n;
	as[0] = c < 0x80 ? c - (c >= 'a' && c <= 'z' ? 32 : 0) : shifted(to_upper, COUNT(to_upper), c);
	return 1;
}

int jinja_to_lower(uint32_t c, uint32_t as[3])
{
	int n = c < 0x80 ? 0 : spelled(lower_spelled, COUNT(lower_spelled), c, as);

	if (n)
		return n;
	as[0] = c < 0x80 ? c + (c >= 'A' && c <= 'Z' ? 32 : 0) : shifted(to_lower, COUNT(to_lower), c);
	return 1;
}

int jinja_to_title(uint32_t c, uint32_t as[3])
{
	int n = c < 0x80 ? 0 : spelled(title_spelled, COUNT(title_spelled), c, as);

	return n ? n : jinja_to_upper(c, as);
}
