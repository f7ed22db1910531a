#include "daemon/util/nearest.h"

#include <string.h>

#define WORD_MAX 32u /* longer ones are no typing errors */

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Letters to insert, take out, change, or exchange with their neighbour (optimal string alignment). */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t row[3][WORD_MAX + 1];

	for (size_t j = 0; j <= n_b; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return row[n_a % 3][n_b];
}

void nearest_begin(struct nearest *near, const char *word, size_t n)
{
	*near = (struct nearest){ .word = word, .n = n };
}

void nearest_offer(struct nearest *near, const char *known)
{
	size_t n = strlen(known), d;

	if (n > WORD_MAX || near->n > WORD_MAX || !near->n)
		return;
	d = distance(near->word, near->n, known, n);
	if (d > (n < 6 ? 1 : n / 3) || (near->best && d >= near->distance))
		return;
	near->best = known;
	near->distance = d;
}
