#include "tests/util/testmodel.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *in_cache(const char *file)
{
	static char path[PATH_MAX];
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	snprintf(path, sizeof(path), "%s%s/gyre/%s", cache ? cache : home ? home : "", cache ? "" : "/.cache", file);
	return path;
}

const char *testmodel_path(void)
{
	const char *m = getenv("GYRE_TEST_MODEL"), *path = in_cache("SmolLM2-135M-Instruct-Q4_1.gguf");

	if (m)
		return m;
	if (access(path, R_OK) == 0)
		return path;
	printf("skip: no %s; tools/fetch-model fetches it, or set GYRE_TEST_MODEL\n", path);
	return NULL;
}

const char *testmodel_other(const char *file, const char *name)
{
	const char *path = in_cache(file);

	if (access(path, R_OK) == 0)
		return path;
	printf("skip: no %s; `tools/fetch-model %s` fetches it\n", path, name);
	return NULL;
}
