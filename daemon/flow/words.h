/*
 * Why an entry or a request is refused: one line for a person, with the numbers that decided and the remedy. Its bytes go out with the
 * last completion and are of the daemon's making: what they quote comes from private copies.
 */
#ifndef GYRE_DAEMON_FLOW_WORDS_H
#define GYRE_DAEMON_FLOW_WORDS_H

#include "shm/abi.h"

#include <stdarg.h>

struct words {
	uint32_t n;
	char text[GYRE_WORDS_MAX + 4]; /* n bytes and a NUL */
};

/*
 * Cut to whole characters that fit GYRE_WORDS_MAX; control bytes and what is no UTF-8 become '?'. Returns res. w NULL: nobody reads
 * them. No allocation; under 1 us.
 */
int words_set(struct words *w, int res, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void words_vset(struct words *w, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#endif
