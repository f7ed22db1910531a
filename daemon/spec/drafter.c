#include "daemon/spec/drafter.h"

const struct drafter *const drafters[] = { &drafter_lookup, &drafter_store };
const uint32_t n_drafter = sizeof(drafters) / sizeof(drafters[0]);

_Static_assert(sizeof(drafters) / sizeof(drafters[0]) <= DRAFTER_MAX, "room for each");
