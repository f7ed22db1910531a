#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

static const struct op *const table[] = {
	[GYRE_OP_NOP] = &op_nop,       [GYRE_OP_GENERATE] = &op_generate,     [GYRE_OP_SCORE] = &op_score,
	[GYRE_OP_EMBED] = &op_embed,   [GYRE_OP_TOKENIZE] = &op_tokenize,     [GYRE_OP_PREFILL] = &op_prefill,
	[GYRE_OP_CANCEL] = &op_cancel, [GYRE_OP_DETOKENIZE] = &op_detokenize,
};

const struct op *op_find(uint8_t opcode)
{
	return opcode < sizeof(table) / sizeof(table[0]) ? table[opcode] : NULL;
}

/* Those that there are, "nop 0, generate 1". */
static int refuse_number(uint8_t opcode, struct words *w)
{
	char list[128] = "";
	int n = 0;

	for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i])
			n += snprintf(list + n, sizeof(list) - (size_t)n, "%s%s %u", n ? ", " : "", table[i]->name, i);
	return words_set(w, -EOPNOTSUPP, "this gyred has no operation %u: it has %s", opcode, list);
}

int op_check(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	const struct op *op = op_find(sqe->opcode);
	int r;

	if (!op)
		return refuse_number(sqe->opcode, w);
	r = validate_unused(op->name, "reserved", sqe->reserved, w);
	if (r == 0 && (sqe->flags & ~(op->flags | GYRE_SQE_LINK)))
		r = words_set(w, -EINVAL, "flags are %#x: %s takes only %#x", sqe->flags, op->name,
			      op->flags | GYRE_SQE_LINK);
	if (r == 0)
		r = validate_keep(op->name, sqe, w);
	return r < 0 ? r : op->validate(sqe, g, w);
}

int op_check_options(const struct op *op, const struct sampling *s, struct words *w)
{
	if (op->check_options)
		return op->check_options(s, w);
	return validate_unused(op->name, "pooling", s->pooling, w);
}
