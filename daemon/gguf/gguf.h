/*
 * Reads a GGUF file's header (versions 2 and 3, little endian). The file is hostile: every count, length and offset is
 * checked without overflow before use, duplicate keys and tensors are refused, and what gguf_open lets through holds:
 * each tensor's bytes match its type and shape, lie inside the file, and overlap no other tensor's. The header is read
 * into memory once, so a file that changes or shrinks afterwards cannot change what was checked.
 *
 * Strings point into that copy and are not NUL-terminated; they may hold any byte. Immutable once open: any thread.
 */
#ifndef GYRE_DAEMON_GGUF_GGUF_H
#define GYRE_DAEMON_GGUF_GGUF_H

#include "daemon/util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GGUF_DIM_MAX    4
#define GGUF_NAME_MAX   256          /* bytes of a key or a tensor name; in use: up to about 60 */
#define GGUF_HEADER_MAX (512u << 20) /* bytes; the largest vocabularies in use take about 20 MiB */
#define GGUF_KV_MAX     65536u
#define GGUF_TENSOR_MAX 65536u /* deepest models in use: about 130 layers of 10..15 */

/* Value types, numbered as in the file. */
enum gguf_type {
	GGUF_U8,
	GGUF_I8,
	GGUF_U16,
	GGUF_I16,
	GGUF_U32,
	GGUF_I32,
	GGUF_F32,
	GGUF_BOOL,
	GGUF_STR,
	GGUF_ARR,
	GGUF_U64,
	GGUF_I64,
	GGUF_F64,
	GGUF_TYPE_MAX
};

struct gguf;

struct gguf_str {
	const char *p;
	uint64_t n;
};

struct gguf_arr {
	enum gguf_type type; /* of the elements; never GGUF_ARR: arrays of arrays are refused */
	uint64_t n;
	const uint8_t *data; /* elements as in the file, unaligned */
	const uint32_t *str; /* GGUF_STR: where element i's length field lies, from data */
};

struct gguf_kv {
	struct gguf_str key;
	enum gguf_type type;
	const uint8_t *data; /* the value as in the file, unaligned */
	struct gguf_arr arr; /* type GGUF_ARR */
};

struct gguf_tensor {
	struct gguf_str name;
	uint32_t type; /* ggml_type; one that quant_info does not know has bytes 0 and an unchecked extent */
	uint32_t n_dim;
	uint64_t ne[GGUF_DIM_MAX]; /* fastest axis first, as in the file; unused ones are 1 */
	uint64_t offset;           /* absolute in the file */
	uint64_t bytes;
};

int gguf_open(struct gguf **gp, const char *path, struct error *e);
/* A header in memory, of a file of file_bytes; data is copied. -ENODATA: the header goes on past n. gguf_fd is -1. */
int gguf_parse(struct gguf **gp, const void *data, size_t n, uint64_t file_bytes, struct error *e);
/* NULL does nothing. Returns NULL. */
struct gguf *gguf_close(struct gguf *g);

/* Metadata: 0, -ENOENT absent, -EINVAL another type or out of range. */
int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *v); /* any integer type whose value fits */
int gguf_get_f32(const struct gguf *g, const char *key, float *v);    /* f32 or f64 */
int gguf_get_bool(const struct gguf *g, const char *key, bool *v);
int gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *v);
int gguf_get_arr(const struct gguf *g, const char *key, struct gguf_arr *v);

/* Element i < a->n; the caller has checked a->type. */
struct gguf_str gguf_arr_str(const struct gguf_arr *a, uint64_t i);
float gguf_arr_f32(const struct gguf_arr *a, uint64_t i);   /* f32 or f64 */
int64_t gguf_arr_int(const struct gguf_arr *a, uint64_t i); /* any integer type or bool; u64 past the range saturates */

bool gguf_str_eq(struct gguf_str s, const char *z);

size_t gguf_n_kv(const struct gguf *g);
const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i);
const char *gguf_type_name(enum gguf_type type);

size_t gguf_n_tensor(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);
const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name); /* NULL: absent */

uint32_t gguf_version(const struct gguf *g);
uint64_t gguf_file_bytes(const struct gguf *g);
int gguf_fd(const struct gguf *g);

#endif
