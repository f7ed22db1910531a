#include "daemon/util/number.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char units[] = "KMGT";

/* The digits at s, and where they end. */
static int read_digits(const char *s, const char **end, uint64_t *v)
{
	char *after;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*v = strtoull(s, &after, 10);
	*end = after;
	return errno == ERANGE ? -ERANGE : 0;
}

int number_whole(const char *s, uint64_t *v)
{
	const char *end;
	int r = read_digits(s, &end, v);

	return r != -EINVAL && *end ? -EINVAL : r;
}

int number_bytes(const char *s, uint64_t *v)
{
	const char *end, *unit;
	int r = read_digits(s, &end, v), shift;

	if (r == -EINVAL || !*end)
		return r;
	unit = strchr(units, toupper((unsigned char)*end));
	if (!unit || (end[1] && strcasecmp(end + 1, "iB") != 0))
		return -EINVAL;
	shift = 10 * (int)(unit - units + 1);
	if (r < 0 || *v > UINT64_MAX >> shift)
		return -ERANGE;
	*v <<= shift;
	return 0;
}

int number_real(const char *s, double *v)
{
	char *end;

	/* strtod takes blanks, hexadecimal, "nan" and "inf" as well. */
	if (!*s || strspn(s, "0123456789+-.eE") != strlen(s))
		return -EINVAL;
	errno = 0;
	*v = strtod(s, &end);
	if (*end || end == s)
		return -EINVAL;
	return errno == ERANGE && (*v > 1 || *v < -1) ? -ERANGE : 0;
}

const char *number_range(char *text, size_t n, uint64_t min, uint64_t max)
{
	if (max == UINT64_MAX)
		snprintf(text, n, "of %llu at least", (unsigned long long)min);
	else
		snprintf(text, n, "from %llu to %llu", (unsigned long long)min, (unsigned long long)max);
	return text;
}

const char *number_size(char *text, size_t n, uint64_t bytes)
{
	int i = -1;
	double x = (double)bytes;

	for (; x >= 1024 && units[i + 1]; i++)
		x /= 1024;
	if (i < 0)
		snprintf(text, n, "%llu bytes", (unsigned long long)bytes);
	else
		snprintf(text, n, "%.1f %ciB", x, units[i]);
	return text;
}
