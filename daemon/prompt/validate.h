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

/* All of them: 0, or -errno with words. */

/* The fields of an entry with a prompt, but for those that only some operations have: max_tokens, split, keep_ms. -EINVAL, -E2BIG. op: its
 * operation's name, for the words. */
int validate_prompt(const char *op, const struct gyre_sqe *sqe, const struct geometry *g, struct words *w);
/* The same where data is token ids, flags or none. -EINVAL, -E2BIG. */
int validate_ids(const char *op, const struct gyre_sqe *sqe, const struct geometry *g, struct words *w);
/* What only a FORK has: split. GYRE_SQE_KEEP: how long. -EINVAL. */
int validate_split(const char *op, const struct gyre_sqe *sqe, struct words *w);
int validate_keep(const char *op, const struct gyre_sqe *sqe, struct words *w);
/* Is all zero that needs a prompt? What an operation does not use is, so that it can mean something one day. -EINVAL. */
int validate_bare(const char *op, const struct gyre_sqe *sqe, struct words *w);
/* One such field; the refusal of one that is not 0. */
int validate_refuse_unused(const char *op, const char *field, uint64_t value, struct words *w);
static inline int validate_unused(const char *op, const char *field, uint64_t value, struct words *w)
{
	return value ? validate_refuse_unused(op, field, value, w) : 0;
}
/* opts[len] -> s. len 0: the defaults. -EINVAL. */
int validate_options(const uint8_t *opts, size_t len, const struct geometry *g, struct sampling *s, struct words *w);
/* Token ids as a client gave them. -EINVAL. */
int validate_tokens(const uint8_t *data, size_t n_byte, const struct geometry *g, struct words *w);

#endif
