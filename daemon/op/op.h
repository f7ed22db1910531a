/*
 * The operations of the ring, a file each. flow/op.h has what a row of the table says; nothing but the table knows an operation by
 * its number.
 */
#ifndef GYRE_DAEMON_OP_OP_H
#define GYRE_DAEMON_OP_OP_H

#include "daemon/flow/op.h"

extern const struct op op_cancel, op_detokenize, op_embed, op_generate, op_nop, op_prefill, op_score, op_tokenize;

/* By the number in shm/abi.h. NULL: there is none of that number, or it is reserved. */
const struct op *op_find(uint8_t opcode);
/* Is this entry, a private copy, well formed? 0; else, with words, -EINVAL, -EOPNOTSUPP (there is no such operation), -E2BIG (cannot
 * fit the context). */
int op_check(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w);
/* Does it take these options, which validate_options has let through? 0, or -EINVAL with words. */
int op_check_options(const struct op *op, const struct sampling *s, struct words *w);

#endif
