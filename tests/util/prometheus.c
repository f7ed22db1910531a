#include "tests/util/prometheus.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAMILY_MAX 128
#define NAME_MAX_  96

static char why[512];

struct reader {
	char seen[FAMILY_MAX][NAME_MAX_];
	int n_seen;
	char name[NAME_MAX_], type[16]; /* of the family that samples belong to */
	char series[512];               /* of buckets: name and labels but le */
	double le, n;                   /* of the last bucket */
	bool in_buckets;
};

static const char *complain(const char *what, const char *line)
{
	snprintf(why, sizeof(why), "%s: %.*s", what, (int)strcspn(line, "\n") > 300 ? 300 : (int)strcspn(line, "\n"),
		 line);
	return why;
}

static size_t name_len(const char *s)
{
	size_t n = 0;

	if (isdigit((unsigned char)*s))
		return 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return n;
}

static const char *take_comment(struct reader *r, const char *line)
{
	bool is_help = !strncmp(line, "# HELP ", 7);
	size_t n = name_len(line + 7);

	if ((!is_help && strncmp(line, "# TYPE ", 7)) || !n || n >= NAME_MAX_ || line[7 + n] != ' ')
		return complain("neither HELP nor TYPE", line);
	if (!is_help) {
		if (strlen(r->name) != n || strncmp(r->name, line + 7, n))
			return complain("TYPE without its HELP before it", line);
		snprintf(r->type, sizeof(r->type), "%.*s", (int)strcspn(line + 8 + n, "\n"), line + 8 + n);
		if (strcmp(r->type, "counter") && strcmp(r->type, "gauge") && strcmp(r->type, "histogram"))
			return complain("no such type", line);
		if (!strcmp(r->type, "counter") && (n < 6 || strcmp(r->name + n - 6, "_total")))
			return complain("a counter's name ends in _total", line);
		return NULL;
	}
	snprintf(r->name, sizeof(r->name), "%.*s", (int)n, line + 7);
	r->type[0] = 0;
	r->in_buckets = false;
	for (int i = 0; i < r->n_seen; i++)
		if (!strcmp(r->seen[i], r->name))
			return complain("a family twice", line);
	if (r->n_seen == FAMILY_MAX)
		return complain("more families than this reader has room for", line);
	strcpy(r->seen[r->n_seen++], r->name);
	return NULL;
}

/* Past the labels, "" if there are none; NULL: malformed. *le: of the label le. */
static const char *take_labels(const char *s, char *rest, size_t size, double *le)
{
	size_t n = 0;

	*le = NAN;
	if (*s != '{')
		return s;
	for (s++; *s != '}'; s += *s == ',') {
		const char *name = s, *value;
		size_t len = name_len(s);

		if (!len || s[len] != '=' || s[len + 1] != '"')
			return NULL;
		for (value = s += len + 2; *s && *s != '"'; s++) {
			if (*s == '\n' || (*s == '\\' && !strchr("\\\"n", *++s)))
				return NULL;
		}
		if (*s++ != '"' || (*s != ',' && *s != '}'))
			return NULL;
		if (len == 2 && !strncmp(name, "le", 2))
			*le = strncmp(value, "+Inf\"", 5) ? strtod(value, NULL) : INFINITY;
		else
			n += (size_t)snprintf(rest + n, size - n, "%.*s;", (int)(s - name), name);
		if (n >= size)
			return NULL;
	}
	return s + 1;
}

static const char *take_bucket(struct reader *r, const char *series, double le, double n, const char *line)
{
	bool goes_on = r->in_buckets && !strcmp(r->series, series);

	if (isnan(le))
		return complain("a bucket without le", line);
	if (goes_on && (le <= r->le || n < r->n))
		return complain("buckets that do not ascend", line);
	if (!goes_on && r->in_buckets && !isinf(r->le))
		return complain("the buckets before end without +Inf", line);
	r->in_buckets = true;
	r->le = le;
	r->n = n;
	snprintf(r->series, sizeof(r->series), "%s", series);
	return NULL;
}

static const char *take_sample(struct reader *r, const char *line)
{
	size_t n = name_len(line), n_family = strlen(r->name);
	const char *suffix = n >= n_family ? line + n_family : "", *s;
	char series[400] = "", *end;
	double le, value;

	if (!n || !*r->type || n < n_family || strncmp(line, r->name, n_family))
		return complain("a sample of no family, or apart from it", line);
	s = take_labels(line + n, series, sizeof(series), &le);
	if (!s || *s != ' ')
		return complain("labels", line);
	value = strtod(s + 1, &end);
	if (end == s + 1 || *end != '\n' || !isfinite(value) || value < 0)
		return complain("a value", line);
	if (strcmp(r->type, "histogram"))
		return n != n_family || !isnan(le) ? complain("a name or label of another type", line) : NULL;
	if (!strncmp(suffix, "_bucket", 7) && n == n_family + 7)
		return take_bucket(r, series, le, value, line);
	if (!r->in_buckets || strcmp(series, r->series) || !isinf(r->le))
		return complain("a sum or count without its buckets", line);
	if (!strncmp(suffix, "_sum", 4) && n == n_family + 4)
		return NULL;
	if (strncmp(suffix, "_count", 6) || n != n_family + 6)
		return complain("a name of no histogram", line);
	return value != r->n ? complain("the count is not the last bucket", line) : NULL;
}

const char *prometheus_check(const char *text)
{
	static struct reader r;
	const char *bad = NULL;

	memset(&r, 0, sizeof(r));
	for (const char *line = text; *line && !bad; line = strchr(line, '\n') + 1) {
		if (!strchr(line, '\n'))
			return complain("the last line does not end", line);
		bad = *line == '#' ? take_comment(&r, line) : take_sample(&r, line);
	}
	return bad ? bad : r.n_seen ? NULL : "nothing at all";
}

double prometheus_sum(const char *text, const char *name, const char *label)
{
	size_t n = strlen(name);
	double sum = -1;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n'), *value = end, *found;

		if (strncmp(line, name, n) || (line[n] != '{' && line[n] != ' '))
			continue;
		found = strstr(line, label);
		if (!found || found > end)
			continue;
		while (value > line && *value != ' ')
			value--;
		sum = (sum < 0 ? 0 : sum) + strtod(value, NULL);
	}
	return sum;
}
