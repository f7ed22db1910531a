#include "daemon/util/writer.h"
#include "daemon/util/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void writer_put(struct writer *w, const char *fmt, ...)
{
	size_t room = w->size - w->n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->text + w->n, room, fmt, ap);
	va_end(ap);
	w->is_cut |= n < 0 || (size_t)n >= room;
	w->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void put_bytes(struct writer *w, const char *p, size_t n)
{
	size_t room = w->size - 1 - w->n;

	w->is_cut |= n > room;
	n = n < room ? n : room;
	memcpy(w->text + w->n, p, n);
	w->n += n;
	w->text[w->n] = 0;
}

void writer_put_quoted(struct writer *w, const char *s)
{
	size_t n = strlen(s), len;

	for (size_t i = 0; i < n; i += len ? len : 1) {
		bool is_plain = s[i] >= ' ' && s[i] < 0x7f;

		len = is_plain ? 1 : utf8_char_len(s + i, n - i);
		if (s[i] == '"' || s[i] == '\\')
			put_bytes(w, "\\", 1);
		if (!len || (len == 1 && !is_plain))
			put_bytes(w, "?", 1);
		else
			put_bytes(w, s + i, len);
	}
}
