/*
 * How many of a stream's pending bytes may go out now. Pure.
 *
 * A stop string is looked for in two texts: in what is shown, and in the whole stream with the texts of its control tokens, which
 * are not shown. So "<|im_end|>" ends an answer at that token, "a<|im_end|>" at a shown "a" before it, and a stop string that a
 * control token interrupts still ends what a reader sees. What may begin one in either text is held back.
 */
#ifndef GYRE_DAEMON_STREAM_HOLD_H
#define GYRE_DAEMON_STREAM_HOLD_H

#include "daemon/flow/request.h"

/* Bytes held back at most: a stop string but one, and a character but one. */
#define HOLD_MAX (GYRE_STOP_BYTES_MAX - 1 + 3)
/* Bytes of a token that join them at a time: what goes out then fits a completion. */
#define HOLD_PIECE (GYRE_RESULT_TEXT_BYTES - HOLD_MAX)

/*
 * p[n], n <= GYRE_RESULT_TEXT_BYTES - h->n, joins the stream; hidden bytes are not shown. Returns how many of h->byte[h->n] may go
 * out: those before the first stop string, which ends the stream (*is_stop), or all but what may be the beginning of one.
 */
uint32_t hold_join(struct hold *h, const struct sampling *s, const char *p, uint32_t n, bool is_hidden, bool *is_stop);
/* The first n bytes went out. */
void hold_drop(struct hold *h, uint32_t n);
/* p[n] without an unfinished UTF-8 character at its end. Bytes that can't be UTF-8 are not held. */
uint32_t hold_char(const uint8_t *p, uint32_t n);

#endif
