/*
 * CANCEL: requests of the same session whose user_data is its target end with -ECANCELED, whichever engines have them; those that have
 * ended and are kept are let go of. Its result is how many.
 */
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"
#include "daemon/session/session.h"
#include "daemon/stream/stream.h"

static int cancel_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	(void)g;
	return validate_bare("cancel", sqe, w);
}

static int cancel_answer(struct session *s, uint64_t target, uint32_t *n_looked)
{
	int n = 0;

	for (struct request *r = s->youngest; r; r = r->older) {
		n += r->kept.user_data == target && request_cancel(r);
		++*n_looked;
	}
	if (n)
		served_ring(s->served); /* an engine that has nothing but kept requests sleeps */
	return n;
}

const struct op op_cancel = {
	.name = "cancel", .validate = cancel_validate, .answer = cancel_answer, .end = stream_answer
};
