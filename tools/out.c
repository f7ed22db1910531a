#include "tools/tool.h"

#include "daemon/util/utf8.h"
#include "shm/clock.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

int fail(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("gyre: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return code;
}

json_t *json_text(const char *p, size_t n)
{
	json_t *j = json_stringn(p, n);
	char *text = NULL;
	size_t size, len;
	FILE *f;

	if (j)
		return j;
	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	for (size_t i = 0; i < n; i += len ? len : 1) {
		len = utf8_char_len(p + i, n - i);
		fwrite(len ? p + i : REPLACEMENT, 1, len ? len : strlen(REPLACEMENT), f);
	}
	if (fclose(f) == 0)
		j = json_stringn(text, size);
	free(text);
	return j;
}

json_t *json_figure(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

int print_json(json_t *j)
{
	if (!j)
		return fail(TOOL_FAILED, "no memory for the output");
	json_dumpf(j, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(j);
	return TOOL_OK;
}

double now_s(void)
{
	return (double)clock_ns() * 1e-9;
}

char *read_all(FILE *f, size_t *n)
{
	size_t size = 4096;
	char *text = malloc(size);

	*n = 0;
	while (text) {
		size_t got = fread(text + *n, 1, size - 1 - *n, f);
		char *more;

		*n += got;
		if (*n < size - 1)
			break;
		more = realloc(text, size *= 2);
		if (!more) {
			free(text);
			return NULL;
		}
		text = more;
	}
	if (text && ferror(f)) {
		free(text);
		return NULL;
	}
	if (text)
		text[*n] = 0;
	return text;
}
