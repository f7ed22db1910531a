/*
 * Why: an operator alarms on these. A value on a bound belongs below it, a record that has no room is counted and never overwrites
 * another, and what level asks for nothing costs no record.
 */
#include "daemon/flow/meter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct op drawn;
static struct user user = { .uid = 1234 };
static struct meter m;
static struct request r;

static struct op_span nothing(const struct request *x)
{
	(void)x;
	return (struct op_span){ 0, 0 };
}

static int setup(void **state)
{
	(void)state;
	drawn = (struct op){ .wants_logits = nothing, .is_drawn = true };
	memset(&m, 0, sizeof(m));
	r = (struct request){ .op = &drawn, .user = &user, .number = 7, .came_ns = 1000, .kept.n_prompt = 5 };
	return 0;
}

static uint64_t count(enum meter_figure f)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i <= METER_BOUND_MAX; i++)
		n += m.figure[f].n[i];
	return n;
}

static void bounds_ascend_and_belong_below(void **state)
{
	(void)state;
	for (int f = 0; f < METER_FIGURE_MAX; f++)
		for (uint32_t i = 1; i < meter_scale_of((enum meter_figure)f)->n; i++)
			assert_true(meter_scale_of((enum meter_figure)f)->bound[i - 1] <
				    meter_scale_of((enum meter_figure)f)->bound[i]);
	meter_step(&m, meter_scale_of(METER_STEP)->bound[3]);
	assert_int_equal(m.figure[METER_STEP].n[3], 1);
	meter_step(&m, meter_scale_of(METER_STEP)->bound[3] + 1);
	assert_int_equal(m.figure[METER_STEP].n[4], 1);
	meter_step(&m, UINT64_MAX / 2);
	assert_int_equal(m.figure[METER_STEP].n[meter_scale_of(METER_STEP)->n], 1);
}

/* Two tokens of one step, then one of the next. */
static void tokens_have_their_gaps(void **state)
{
	(void)state;
	r.started_ns = 2000;
	meter_result(&m, &r, true, 10000);
	meter_result(&m, &r, true, 10000);
	meter_result(&m, &r, true, 15000);
	r.kept.n_emitted = 3;
	meter_end(&m, &r, false, 15000);
	assert_int_equal(m.n_prompt, 5);
	assert_int_equal(m.figure[METER_FIRST_TOKEN].sum, 9000);
	assert_int_equal(count(METER_INTER_TOKEN), 2);
	assert_int_equal(m.figure[METER_INTER_TOKEN].sum, 5000);
	assert_int_equal(count(METER_DECODE_GAP), 1);
	assert_int_equal(m.figure[METER_QUEUE].sum, 1000);
	assert_int_equal(m.figure[METER_PREFILL].sum, 8000);
	assert_int_equal(m.figure[METER_DECODE].sum, 5000);
	assert_int_equal(m.figure[METER_WHOLE].sum, 14000);
	assert_int_equal(m.n_end[METER_LENGTH], 1);
}

static void a_full_ring_drops_the_newest(void **state)
{
	struct event e;

	(void)state;
	event_set_level(&m.events, EVENT_REQUESTS, 0);
	for (uint32_t i = 0; i < EVENT_RING_MAX + 5; i++) {
		r.number = i + 1;
		meter_end(&m, &r, false, 5000);
	}
	assert_int_equal(m.events.n_dropped, 5);
	for (uint32_t i = 0; i < EVENT_RING_MAX; i++) {
		assert_true(event_take(&m.events, &e));
		assert_int_equal(e.request, i + 1);
		assert_int_equal(e.uid, 1234);
	}
	assert_false(event_take(&m.events, &e));
	meter_end(&m, &r, false, 5000);
	assert_true(event_take(&m.events, &e));
	assert_int_equal(m.events.n_dropped, 5);
}

static uint32_t n_events(void)
{
	struct event e;
	uint32_t n = 0;

	while (event_take(&m.events, &e))
		n++;
	return n;
}

static void levels_are_obeyed(void **state)
{
	(void)state;
	meter_end(&m, &r, false, 5000);
	r.kept.res = -ENOSPC;
	meter_end(&m, &r, false, 5000);
	assert_int_equal(n_events(), 0);
	event_set_level(&m.events, EVENT_ERRORS, 500);
	meter_end(&m, &r, false, 5000);
	r.kept.res = 0;
	meter_end(&m, &r, false, 5000);
	assert_int_equal(n_events(), 1);
	meter_result(&m, &r, true, 1500); /* 500 ns after it came: in time */
	assert_int_equal(n_events(), 0);
	r.first_ns = r.last_ns = 0;
	meter_result(&m, &r, true, 1501);
	assert_int_equal(n_events(), 1);
}

static void refusals_have_names(void **state)
{
	(void)state;
	assert_string_equal(meter_refusal_name(meter_refusal_of(-EINVAL)), "malformed");
	assert_string_equal(meter_refusal_name(meter_refusal_of(-EBUSY)), "busy");
	assert_string_equal(meter_refusal_name(meter_refusal_of(-EDQUOT)), "quota");
	assert_string_equal(meter_refusal_name(meter_refusal_of(-EIO)), "other");
}

#define CASE(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(bounds_ascend_and_belong_below), CASE(tokens_have_their_gaps),
					    CASE(a_full_ring_drops_the_newest), CASE(levels_are_obeyed),
					    CASE(refusals_have_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
