#include "daemon/spec/drafter.h"

const struct drafter *const drafters[] = {
	&drafter_lookup,
};

const uint32_t n_drafter = sizeof(drafters) / sizeof(drafters[0]);
