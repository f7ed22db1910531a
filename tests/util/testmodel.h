/* The default model, which tools/fetch-model puts in the cache: what only a real model can show is tested on it. */
#ifndef GYRE_TESTS_UTIL_TESTMODEL_H
#define GYRE_TESTS_UTIL_TESTMODEL_H

/* $GYRE_TEST_MODEL, or the default model's file; NULL, with the reason on stdout, if it is not there: then skip. */
const char *testmodel_path(void);

/* The same of another model: `file` in the cache, which `tools/fetch-model NAME` puts there; valid until the next call. */
const char *testmodel_other(const char *file, const char *name);

#endif
