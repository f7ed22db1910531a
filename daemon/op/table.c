#include "daemon/op/op.h"

#include <errno.h>
#include <stddef.h>

#define PRIORITY_MAX 255u

static const struct op *const table[] = {
	[GYRE_OP_NOP] = &op_nop,           [GYRE_OP_GENERATE] = &op_generate, [GYRE_OP_SCORE] = &op_score,
	[GYRE_OP_TOKENIZE] = &op_tokenize, [GYRE_OP_CANCEL] = &op_cancel,
};

const struct op *op_find(uint8_t opcode)
{
	return opcode < sizeof(table) / sizeof(table[0]) ? table[opcode] : NULL;
}

int op_check(const struct gyre_sqe *sqe, const struct geometry *g)
{
	const struct op *op = op_find(sqe->opcode);

	if (!op)
		return -EOPNOTSUPP;
	if (sqe->reserved0 || sqe->reserved1 || (sqe->flags & ~GYRE_SQE_FLAGS) || sqe->priority > PRIORITY_MAX)
		return -EINVAL;
	return op->validate(sqe, g);
}
