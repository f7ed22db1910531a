#include "daemon/spec/tally.h"
#include "daemon/util/counter.h"

void tally_begin(struct tally *t, const struct tally_step *s)
{
	t->step = *s;
	if (!s->plain_ns || !s->ns)
		t->step.layout_ns = 0;
}

void tally_hit(struct tally *t, uint32_t n_hit)
{
	t->step.n_hit += n_hit;
}

void tally_end(struct tally *t, uint64_t time_ns)
{
	const struct tally_step *s = &t->step;

	if (!s->layout_ns || time_ns <= s->layout_ns)
		return;
	counter_add(&t->n_step, 1);
	counter_add(&t->n_token, s->n_plain + s->n_hit);
	counter_add(&t->ns, time_ns - s->layout_ns);
	counter_add(&t->expected_millitoken, (uint64_t)(1000 * ((double)s->n_plain + (double)s->n_gain)));
	counter_add(&t->expected_ns, s->ns);
	counter_add(&t->plain_token, s->n_plain);
	counter_add(&t->plain_ns, s->plain_ns);
	t->step.layout_ns = 0;
}
