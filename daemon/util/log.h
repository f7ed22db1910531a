/*
 * One line per message on stderr. Where that is the journal (JOURNAL_STREAM names its device and inode) each line starts with its
 * priority as "<6>", which the journal takes off again. Any thread; a line is one write(2), so lines never mix.
 */
#ifndef GYRE_DAEMON_UTIL_LOG_H
#define GYRE_DAEMON_UTIL_LOG_H

#include <stdbool.h>

/* Is stderr the journal? */
bool log_is_journal(void);

void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
