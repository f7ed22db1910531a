#include "daemon/op/echo.h"

#include "daemon/session/session.h"
#include "daemon/stream/stream.h"

bool echo_is_due(const struct request *r)
{
	return (r->kept.flags & GYRE_SQE_ECHO) && r->kept.n_scored + 1 < r->kept.n_prompt;
}

struct op_span echo_wants_logits(const struct request *r)
{
	return (struct op_span){ r->kept.n_scored, r->kept.n_prompt - 1 };
}

void echo_take_token(struct request *r, const struct batch_token *t, uint64_t time_ns)
{
	const struct vocab *v = r->session->served->vocab;

	stream_echo(r, t, time_ns, ++r->kept.n_scored, vocab_token_bytes(v, (uint32_t)t->token, false, true));
}
