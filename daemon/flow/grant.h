/*
 * Completions that a step may cost a request, which intake has its CQ keep room for. The bytes of a token take up to n_piece of them
 * (struct geometry), the end of a stream GRANT_END more. Whoever counts completions counts them here.
 */
#ifndef GYRE_DAEMON_FLOW_GRANT_H
#define GYRE_DAEMON_FLOW_GRANT_H

#include <stdint.h>

#define GRANT_END 2u /* what was held back, and the last completion */

/* Completions for n_token tokens and the end. */
static inline uint32_t grant_for(uint32_t n_piece, uint32_t n_token)
{
	return n_piece * n_token + GRANT_END;
}

/* Tokens that n completions are enough for. */
static inline uint32_t grant_tokens(uint32_t n_piece, uint32_t n)
{
	return n > GRANT_END ? (n - GRANT_END) / n_piece : 0;
}

#endif
