/* The properties of a character that tokenizers ask for. */
#ifndef GYRE_DAEMON_TEXT_UNICODE_H
#define GYRE_DAEMON_TEXT_UNICODE_H

#include <stdint.h>

#define UNICODE_DECOMPOSED_MAX 8 /* characters; canonical decompositions in Unicode have at most four */

enum unicode_kind {
	UNICODE_OTHER,
	UNICODE_CONTROL, /* Cc, Cf, Co, Cs */
	UNICODE_SPACE,   /* Zs, Zl, Zp */
	UNICODE_PUNCT,   /* P… */
	UNICODE_ACCENT   /* Mn */
};

enum unicode_kind unicode_kind(uint32_t cp);
/* 0: a starter. */
uint8_t unicode_combining(uint32_t cp);
/* NFD of one character -> out[UNICODE_DECOMPOSED_MAX]. Returns how many. */
int unicode_decompose(uint32_t cp, uint32_t *out);
/* The one-to-one mapping. */
uint32_t unicode_lower(uint32_t cp);

#endif
