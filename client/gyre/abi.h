/* In the tree, <gyre/abi.h> is shm/abi.h; `make install` puts that file itself here. */
#include "../../shm/abi.h"
