/* No level of arm64 needs a model: qemu has all of its instructions. */
#include "tests/kernels/models/models.h"

const struct model_level model_levels[] = { { 0 } };
