/* Text into a caller's buffer, cut where that ends, always with a NUL. */
#ifndef GYRE_DAEMON_UTIL_WRITER_H
#define GYRE_DAEMON_UTIL_WRITER_H

#include <stdbool.h>
#include <stddef.h>

struct writer {
	char *text;
	size_t n, size; /* n < size */
	bool is_cut;
};

void writer_put(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The inside of a string in quotes: a backslash before quotes and backslashes, '?' for control bytes and what is no UTF-8. */
void writer_put_quoted(struct writer *w, const char *s);

#endif
