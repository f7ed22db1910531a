/*
 * Are the fields of an entry, its options, its token ids well formed? Pure functions on the daemon's private copies: what they let through needs
 * no further check before use. The bytes are a client's and may be anything.
 */
#ifndef GYRE_DAEMON_PROMPT_VALIDATE_H
#define GYRE_DAEMON_PROMPT_VALIDATE_H

#include "daemon/flow/served.h"

#include <stddef.h>

/* struct gyre_options with both tails at their longest. */
#define VALIDATE_OPTIONS_MAX                                                      \
	(sizeof(struct gyre_options) + GYRE_BIAS_MAX * sizeof(struct gyre_bias) + \
	 GYRE_STOP_MAX * (4 + GYRE_STOP_BYTES_MAX))

/* The fields of an entry with a prompt, but for those that only some operations have: max_tokens, split. 0, -EINVAL, -E2BIG. */
int validate_prompt(const struct gyre_sqe *sqe, const struct geometry *g);
/* Is all zero that needs a prompt? What an operation does not use is, so that it can mean something one day. */
bool validate_is_bare(const struct gyre_sqe *sqe);
/* opts[len] -> s. len 0: the defaults. 0 or -EINVAL. */
int validate_options(const uint8_t *opts, size_t len, const struct geometry *g, struct sampling *s);
/* Token ids as a client gave them. 0 or -EINVAL. */
int validate_tokens(const uint8_t *data, size_t n_byte, const struct geometry *g);

#endif
