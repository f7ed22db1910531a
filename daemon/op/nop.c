/* NOP: is answered. What a round trip through the rings takes. */
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"

#include <errno.h>

static int nop_validate(const struct gyre_sqe *sqe, const struct geometry *g)
{
	(void)g;
	return validate_is_bare(sqe) && !sqe->target ? 0 : -EINVAL;
}

static int nop_answer(struct session *s, const struct gyre_sqe *sqe, uint32_t *n_looked)
{
	(void)s;
	(void)sqe;
	(void)n_looked;
	return 0;
}

const struct op op_nop = { .name = "nop", .validate = nop_validate, .answer = nop_answer };
