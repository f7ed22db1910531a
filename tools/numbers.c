#include "tools/tool.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double percentile(double *x, size_t n, double p)
{
	double rank = p * (double)(n - 1), low = floor(rank);
	size_t i = (size_t)low, next = i + 1 < n ? i + 1 : i;

	qsort(x, n, sizeof(*x), compare);
	return x[i] + (x[next] - x[i]) * (rank - low);
}

double median(double *x, size_t n)
{
	return percentile(x, n, 0.5);
}

const char *number_text(char text[32], const char *format, double x)
{
	snprintf(text, 32, isfinite(x) ? format : "-", x);
	return text;
}

/* splitmix64 of Steele, Lea and Flood: its finalizer over a counter. */
uint64_t scatter(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}
