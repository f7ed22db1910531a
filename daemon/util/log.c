/*
 * A line is formatted on the stack and written with one write(2): no lock, no stdio buffer, no allocation.
 */
#include "daemon/util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024

/* Priorities as in sd-daemon(3). */
enum log_priority { LOG_PRIORITY_ERROR = 3, LOG_PRIORITY_WARN = 4, LOG_PRIORITY_INFO = 6 };

/* A message is one line: a quotation from a file or a peer must not start a second one. */
static void log_flatten(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			s[i] = ' ';
}

/* Every process below a service inherits JOURNAL_STREAM, whatever its stderr is, so the variable names the stream that it means. */
bool log_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

__attribute__((format(printf, 2, 0))) static void log_line(enum log_priority priority, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	int saved_errno = errno;
	size_t n = 0;
	int r;

	if (log_is_journal())
		n = (size_t)snprintf(line, sizeof(line), "<%d>", priority);
	r = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	if (r > 0) {
		size_t room = sizeof(line) - n - 2, len = (size_t)r < room ? (size_t)r : room;

		log_flatten(line + n, len);
		n += len;
	}
	line[n++] = '\n';
	/* Nobody is left to tell when stderr is gone. */
	if (write(STDERR_FILENO, line, n) < 0)
		errno = 0;
	errno = saved_errno;
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_PRIORITY_INFO, fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_PRIORITY_WARN, fmt, ap);
	va_end(ap);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_PRIORITY_ERROR, fmt, ap);
	va_end(ap);
}
