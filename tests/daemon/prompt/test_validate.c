/* Everything in an SQE is a client's: what validate lets through is used without another look, so it must let nothing through. */
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct geometry g = { .arena_bytes = 65536, .n_vocab = 100, .n_ctx = 64, .text_max = 65536 };

static struct gyre_sqe good(void)
{
	return (struct gyre_sqe){ .opcode = GYRE_OP_GENERATE, .priority = 128, .data_off = 8, .data_len = 16 };
}

static void test_offsets(void **state)
{
	struct gyre_sqe s = good();

	(void)state;
	assert_int_equal(op_check(&s, &g, NULL), 0);
	s.data_off = UINT32_MAX - 7; /* off + len wraps to a small number */
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s = good();
	s.data_off = g.arena_bytes - 15;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s.data_off = g.arena_bytes - 16;
	assert_int_equal(op_check(&s, &g, NULL), 0);
	s = good();
	s.opts_off = 4;
	s.opts_len = 64;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s.opts_off = g.arena_bytes - 56;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
}

static void test_fields(void **state)
{
	struct gyre_sqe s = good();

	(void)state;
	s.reserved = 1;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s = good();
	s.flags = 0x8000;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s = good();
	s.keep_ms = 1;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s = good();
	s.split = 1;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s.opcode = 249;
	assert_int_equal(op_check(&s, &g, NULL), -EOPNOTSUPP);
	s.opcode = 250;
	assert_int_equal(op_check(&s, &g, NULL), -EOPNOTSUPP);
}

/* Fields that an operation does not use stay free for a later meaning only if nobody gets away with filling them. */
static void test_unused_fields(void **state)
{
	const struct gyre_sqe nop = { .opcode = GYRE_OP_NOP }, cancel = { .opcode = GYRE_OP_CANCEL, .target = 7 };
	static const size_t offset[] = { offsetof(struct gyre_sqe, max_tokens), offsetof(struct gyre_sqe, data_off),
					 offsetof(struct gyre_sqe, data_len),   offsetof(struct gyre_sqe, opts_off),
					 offsetof(struct gyre_sqe, opts_len),   offsetof(struct gyre_sqe, split),
					 offsetof(struct gyre_sqe, flags) };
	struct gyre_sqe s = nop;

	(void)state;
	assert_int_equal(op_check(&nop, &g, NULL), 0);
	assert_int_equal(op_check(&cancel, &g, NULL), 0);
	s.target = 7;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(offset) / sizeof(offset[0]); i++) {
		s = nop;
		((uint8_t *)&s)[offset[i]] = 8;
		assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
		s = cancel;
		((uint8_t *)&s)[offset[i]] = 8;
		assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	}
	s = good();
	s.max_tokens = 1;
	assert_int_equal(op_check(&s, &g, NULL), 0);
	s.opcode = GYRE_OP_TOKENIZE;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	s.opcode = GYRE_OP_SCORE;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
}

static void test_tokens(void **state)
{
	struct gyre_sqe s = good();
	uint32_t id[2] = { 99, 100 };

	(void)state;
	s.flags = GYRE_SQE_TOKENS;
	s.data_len = 65 * 4;
	assert_int_equal(op_check(&s, &g, NULL), -E2BIG);
	s.data_len = 7;
	assert_int_equal(op_check(&s, &g, NULL), -EINVAL);
	assert_int_equal(validate_tokens((uint8_t *)id, 4, &g, NULL), 0);
	assert_int_equal(validate_tokens((uint8_t *)id, 8, &g, NULL), -EINVAL);
}

static void test_options(void **state)
{
	struct gyre_options o = { .size = sizeof(o), .temperature = 1 };
	struct sampling s;

	(void)state;
	memset(&s, 0x5a, sizeof(s));
	assert_int_equal(validate_options(NULL, 0, &g, &s, NULL), 0);
	assert_true(s.temperature == 0 && s.repetition_penalty == 1 && !s.n_bias && !s.n_stop && !s.seed);
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o), &g, &s, NULL), 0);
	o.temperature = NAN;
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o), &g, &s, NULL), -EINVAL);
	o.temperature = INFINITY;
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o), &g, &s, NULL), -EINVAL);
	o.temperature = -1;
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o), &g, &s, NULL), -EINVAL);
	o.temperature = 0;
	o.n_top = GYRE_TOP_MAX + 1;
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o), &g, &s, NULL), -EINVAL);
	o.n_top = 0;
	o.n_bias = 1; /* announced, and not there */
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o), &g, &s, NULL), -EINVAL);
	o.n_bias = 0;
	o.n_stop = 1;
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o), &g, &s, NULL), -EINVAL);
	o.n_stop = 0;
	assert_int_equal(validate_options((uint8_t *)&o, sizeof(o) - 1, &g, &s, NULL), -EINVAL);
}

static void test_stop_length_lies(void **state)
{
	struct {
		struct gyre_options o;
		uint32_t n;
		uint8_t text[4];
	} b = { .o = { .size = sizeof(b.o), .n_stop = 1 }, .n = 2, .text = "ab" };
	struct sampling s;

	(void)state;
	assert_int_equal(validate_options((uint8_t *)&b, sizeof(b), &g, &s, NULL), 0);
	assert_int_equal(s.stop_len[0], 2);
	b.n = UINT32_MAX;
	assert_int_equal(validate_options((uint8_t *)&b, sizeof(b), &g, &s, NULL), -EINVAL);
	b.n = 5;
	assert_int_equal(validate_options((uint8_t *)&b, sizeof(b), &g, &s, NULL), -EINVAL);
	b.n = 0;
	assert_int_equal(validate_options((uint8_t *)&b, sizeof(b), &g, &s, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets), cmocka_unit_test(test_fields),  cmocka_unit_test(test_unused_fields),
		cmocka_unit_test(test_tokens),  cmocka_unit_test(test_options), cmocka_unit_test(test_stop_length_lies)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
