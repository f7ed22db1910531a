/* NOP: is answered. What a round trip through the rings takes. */
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"
#include "daemon/stream/stream.h"

static int nop_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	int r = validate_bare("nop", sqe, w);

	(void)g;
	return r < 0 ? r : validate_unused("nop", "target", sqe->target, w);
}

static int nop_answer(struct session *s, uint64_t target, uint32_t *n_looked)
{
	(void)s;
	(void)target;
	(void)n_looked;
	return 0;
}

const struct op op_nop = { .name = "nop", .validate = nop_validate, .answer = nop_answer, .end = stream_answer };
