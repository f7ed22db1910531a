#include "tests/util/testmodel.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *testmodel_path(void)
{
	static char path[PATH_MAX];
	const char *m = getenv("GYRE_TEST_MODEL"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (m)
		return m;
	snprintf(path, sizeof(path), "%s%s/gyre/SmolLM2-135M-Instruct-Q4_1.gguf",
		 cache  ? cache
		 : home ? home
			: "",
		 cache ? "" : "/.cache");
	if (access(path, R_OK) == 0)
		return path;
	printf("skip: no %s; tools/fetch-model fetches it, or set GYRE_TEST_MODEL\n", path);
	return NULL;
}
