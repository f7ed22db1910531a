/*
 * CANCEL: requests of the same session whose user_data is its target end with -ECANCELED, whichever engines have them; those that have
 * ended and are kept are let go of. Its result is how many.
 */
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"
#include "daemon/session/session.h"

static int cancel_validate(const struct gyre_sqe *sqe, const struct geometry *g, struct words *w)
{
	(void)g;
	return validate_bare("cancel", sqe, w);
}

static int cancel_answer(struct session *s, const struct gyre_sqe *sqe, uint32_t *n_looked)
{
	int n = 0;

	lock_take(&s->lock);
	for (struct request *r = s->youngest; r; r = r->older) {
		n += r->kept.user_data == sqe->target && request_cancel(r);
		++*n_looked;
	}
	lock_drop(&s->lock);
	if (n)
		served_ring(s->served); /* an engine that has nothing but kept requests sleeps */
	return n;
}

const struct op op_cancel = { .name = "cancel", .validate = cancel_validate, .answer = cancel_answer };
