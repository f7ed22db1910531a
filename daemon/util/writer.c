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

void writer_put_quoted(struct writer *w, const char *s)
{
	size_t n = strlen(s), len;

	for (size_t i = 0; i < n; i += len ? len : 1) {
		len = utf8_char_len(s + i, n - i);
		if (!len || (unsigned char)s[i] < ' ' || s[i] == 0x7f)
			writer_put(w, "?");
		else
			writer_put(w, "%s%.*s", s[i] == '"' || s[i] == '\\' ? "\\" : "", (int)len, s + i);
	}
}
