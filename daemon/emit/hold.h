/*
 * How many of a stream's pending bytes may go out now. Pure.
 */
#ifndef GYRE_DAEMON_EMIT_HOLD_H
#define GYRE_DAEMON_EMIT_HOLD_H

#include "daemon/request.h"

/* Bytes before the first stop string in p[n], *is_stop set; or all but the longest tail that may be the beginning of one. */
uint32_t hold_stop(const struct sampling *s, const uint8_t *p, uint32_t n, bool *is_stop);
/* p[n] without an unfinished UTF-8 character at its end. Bytes that can't be UTF-8 are not held. */
uint32_t hold_char(const uint8_t *p, uint32_t n);

#endif
