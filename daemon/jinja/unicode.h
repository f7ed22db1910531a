/*
 * The classes and cases of characters as Python's str methods have them. Bytes that are no character (UTF8_LONE) are in no class and
 * have no case.
 */
#ifndef GYRE_DAEMON_JINJA_UNICODE_H
#define GYRE_DAEMON_JINJA_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

bool jinja_is_printable(uint32_t c);
bool jinja_is_space(uint32_t c);
bool jinja_is_alpha(uint32_t c);
bool jinja_is_digit(uint32_t c);
bool jinja_is_decimal(uint32_t c);
bool jinja_is_numeric(uint32_t c);
bool jinja_is_lower(uint32_t c);
bool jinja_is_upper(uint32_t c);
bool jinja_is_cased(uint32_t c);
/* Whether a capital sigma looks past it when it asks whether it ends a word. */
bool jinja_is_skipped(uint32_t c);

/* c in that case: up to 3 characters. Returns how many. */
int jinja_to_upper(uint32_t c, uint32_t as[3]);
int jinja_to_lower(uint32_t c, uint32_t as[3]);
int jinja_to_title(uint32_t c, uint32_t as[3]);

#endif
