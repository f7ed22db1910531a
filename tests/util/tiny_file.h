/* What writes a tiny model (tiny.c) as a GGUF file: entries of the header, with those of the test in place of its own. */
#ifndef GYRE_TESTS_UTIL_TINY_FILE_H
#define GYRE_TESTS_UTIL_TINY_FILE_H

#include "tests/util/tiny.h"

#define TINY_KEY_BYTES 128

struct tiny_tensor {
	char name[48];
	uint32_t type;
	uint64_t n_row, n_col; /* n_row 0: a vector */
	uint64_t n_expert;     /* 0: no axis of experts */
};

struct tiny_file {
	FILE *f;
	const struct tiny *o;
	uint64_t n_kv;
	struct tiny_tensor t[128];
	size_t n;
	uint32_t random;
};

void tiny_put(struct tiny_file *f, const void *p, size_t n);
void tiny_str(struct tiny_file *f, const char *s);
const char *tiny_arch_name(const struct tiny *o);
void tiny_full_key(char to[TINY_KEY_BYTES], const struct tiny *o, const char *key);
/* Does the test have another value for it? */
bool tiny_is_replaced(const struct tiny_file *f, const char *name, const void *v);
void tiny_key(struct tiny_file *f, const char *key, uint32_t type, const void *v, size_t n);
void tiny_u32(struct tiny_file *f, const char *key, uint32_t v);
void tiny_text(struct tiny_file *f, const char *key, const char *text);
void tiny_array(struct tiny_file *f, const char *key, uint32_t type, uint64_t n);

#endif
