/*
 * A stable merge sort in the arena; each comparison is a step.
 */
#include "daemon/jinja/value.h"

typedef int compare_fn(const void *a, const void *b, void *s);

static void merge(char *to, const char *a, size_t na, const char *b, size_t nb, size_t size, compare_fn *compare,
		  struct jinja_scratch *s)
{
	while (na && nb && jinja_step(s, 1)) {
		bool first = compare(b, a, s) >= 0;

		memcpy(to, first ? a : b, size);
		to += size;
		if (first) {
			a += size;
			na--;
		} else {
			b += size;
			nb--;
		}
	}
	memcpy(to, a, na * size);
	memcpy(to + na * size, b, nb * size);
}

bool jinja_sort(struct jinja_scratch *s, void *at, size_t n, size_t size, compare_fn *compare)
{
	char *from = at, *to = jinja_alloc(s, n * size);

	for (size_t width = 1; to && width < n && jinja_step(s, 1); width *= 2) {
		char *was = from;

		for (size_t i = 0; i < n; i += 2 * width) {
			size_t na = n - i < width ? n - i : width, nb = n - i - na < width ? n - i - na : width;

			merge(to + i * size, from + i * size, na, from + (i + na) * size, nb, size, compare, s);
		}
		from = to;
		to = was;
	}
	if (to && from != at)
		memcpy(at, from, n * size);
	return to && !jinja_failed(s);
}
