#include "daemon/text/charsmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t children(uint32_t unit)
{
	return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The entry of a child by label c, 0: none. base: where the parent's children are. */
static uint32_t child(const struct charsmap *m, uint32_t base, unsigned char c)
{
	uint32_t i = base ^ c;

	return i < m->n_unit && (m->unit[i] & (1u << 31 | 0xff)) == c ? i : 0;
}

static bool ends(uint32_t unit)
{
	return unit >> 8 & 1;
}

/* Where the replacement of a string begins that ends in entry i; checked by charsmap_init. */
static uint32_t replacement_of(const struct charsmap *m, uint32_t i)
{
	return m->unit[i ^ children(m->unit[i])] & ~(1u << 31);
}

size_t charsmap_match(const struct charsmap *m, const char *p, size_t n, struct text_span *replacement)
{
	uint32_t base = m->n_unit ? children(m->unit[0]) : 0, i, found = 0;
	size_t len = 0;

	if (n > CHARSMAP_KEY_MAX)
		n = CHARSMAP_KEY_MAX;
	for (size_t k = 0; k < n && p[k] && (i = child(m, base, (unsigned char)p[k])); k++) {
		base = i ^ children(m->unit[i]);
		if (ends(m->unit[i])) {
			found = i;
			len = k + 1;
		}
	}
	if (len) {
		replacement->p = m->text + replacement_of(m, found);
		replacement->n = (uint32_t)strlen(replacement->p);
	}
	return len;
}

/* A string of len bytes ends in entry i. */
static bool replacement_ok(const struct charsmap *m, uint32_t i, uint32_t len)
{
	uint32_t at = i ^ children(m->unit[i]);

	if (at >= m->n_unit || (m->unit[at] & ~(1u << 31)) >= m->n_text)
		return false;
	return strnlen(m->text + replacement_of(m, i), (size_t)len * CHARSMAP_GROWTH + 1) <=
	       (size_t)len * CHARSMAP_GROWTH;
}

/*
 * Breadth first, so that an entry is met by its shortest string, which bounds the growth. Each entry is looked at once:
 * builders share equal tails, and a hostile array may have circles.
 */
static int check(const struct charsmap *m)
{
	uint32_t *queue = malloc(((size_t)m->n_unit + 1) * sizeof(*queue)), head = 0, tail = 0, level_end, len = 0;
	bool *seen = calloc(m->n_unit, sizeof(*seen));
	int r = queue && seen ? 0 : -ENOMEM;

	if (!r)
		queue[tail++] = 0;
	for (level_end = tail; !r && head < tail; head++) {
		uint32_t at = queue[head], base = at ^ children(m->unit[at]);

		if (head == level_end) {
			level_end = tail;
			len++;
		}
		for (unsigned c = 1; !r && c < 256; c++) {
			uint32_t i = child(m, base, (unsigned char)c);

			if (!i || seen[i])
				continue;
			seen[i] = true;
			queue[tail++] = i;
			if (ends(m->unit[i]) && !replacement_ok(m, i, len + 1))
				r = -EINVAL;
		}
	}
	free(queue);
	free(seen);
	return r;
}

int charsmap_init(struct charsmap *m, const char *p, size_t n)
{
	uint32_t bytes;

	if (!n)
		return 0;
	if (n <= sizeof(bytes) || n > INT32_MAX)
		return -EINVAL;
	memcpy(&bytes, p, sizeof(bytes));
	if (bytes >= n - sizeof(bytes) || bytes < sizeof(*m->unit) || p[n - 1])
		return -EINVAL;
	m->n_unit = bytes / sizeof(*m->unit);
	m->n_text = (uint32_t)(n - sizeof(bytes) - bytes);
	m->unit = malloc(m->n_unit * sizeof(*m->unit));
	m->text = malloc(m->n_text);
	if (!m->unit || !m->text)
		return -ENOMEM;
	memcpy(m->unit, p + sizeof(bytes), m->n_unit * sizeof(*m->unit));
	memcpy(m->text, p + sizeof(bytes) + bytes, m->n_text);
	return check(m);
}

void charsmap_deinit(struct charsmap *m)
{
	free(m->unit);
	free(m->text);
}
