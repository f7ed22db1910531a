/*
 * A scratch with limits as a daemon would set them.
 */
#ifndef GYRE_TESTS_DAEMON_JINJA_SCRATCH_H
#define GYRE_TESTS_DAEMON_JINJA_SCRATCH_H

#include "daemon/jinja/jinja.h"

/* `now` is 2025-07-21 12:26:40, the moment that tools/golden/jinja.py passes, too. */
static const struct jinja_limits scratch_limits = {
	.n_step = 4000000, .value_bytes = 64u << 20, .output_bytes = 4u << 20, .depth = 100, .now = 1753100000
};

static inline struct jinja_scratch *scratch_of(const struct jinja_limits *l)
{
	struct jinja_scratch *s = jinja_scratch_new(l);

	assert_non_null(s);
	return s;
}

#endif
