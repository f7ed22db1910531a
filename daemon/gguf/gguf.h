/*
 * Reads a model's GGUF headers (versions 2 and 3, little endian). A model is one file or several, as gguf-split makes them: each
 * tensor says in which of them its bytes lie and where, and nothing else knows of the parts. The files are hostile: every
 * count, length and offset is checked without overflow before use, duplicate keys and tensors are refused, and what gguf_open lets
 * through holds: each tensor's bytes match its type and shape, lie inside their file, and overlap no other tensor's. A header is
 * read into memory once, so a file that changes or shrinks afterwards cannot change what was checked.
 *
 * Strings point into that copy and are not NUL-terminated; they may hold any byte. Immutable once open: any thread.
 */
#ifndef GYRE_DAEMON_GGUF_GGUF_H
#define GYRE_DAEMON_GGUF_GGUF_H

#include "daemon/util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GGUF_DIM_MAX  4
#define GGUF_NAME_MAX 256 /* bytes of a key or a tensor name; in use: up to about 60 */
#define GGUF_HEADER_MAX \
	(512u << 20) /* bytes, of all files together; the largest vocabularies in use take about 20 MiB */
#define GGUF_KV_MAX     65536u
#define GGUF_TENSOR_MAX 65536u /* of all files; deepest models in use: about 130 layers of 10..15 */
#define GGUF_FILE_MAX   256u   /* parts of a model; in use: up to about 60 */

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
	size_t bytes;        /* of it */
	struct gguf_arr arr; /* type GGUF_ARR */
};

/* One of the files that a model is in. */
struct gguf_file {
	char *path; /* NULL: a header in memory */
	int fd;     /* -1: none, or closed */
	uint64_t bytes;
};

struct gguf_tensor {
	struct gguf_str name;
	uint32_t type; /* ggml_type; one that quant_info does not know has bytes 0 and an unchecked extent */
	uint32_t n_dim;
	uint64_t ne[GGUF_DIM_MAX]; /* fastest axis first, as in the file; unused ones are 1 */
	uint32_t file;             /* the one that its bytes lie in */
	uint64_t offset;           /* there, absolute */
	uint64_t bytes;            /* of its own rows */
	/* Of a piece (gguf_cut) whose rows do not all lie together: so many do, then come so many of others. run 0: they do. */
	uint64_t run, gap;
	bool is_piece;
};

/*
 * What takes a tensor's place: of every `period` rows of it `take`, from the first-th on. The rows of all matrices of a tensor are
 * counted on, and of a vector its numbers are the rows. Each part of a period may be a piece's, or no one's.
 */
struct gguf_piece {
	const struct gguf_tensor *of;
	const char *name; /* copied; NULL: nothing takes its place, the tensor is left out */
	uint64_t first, take, period;
};

/* path: of the model, or of any of its parts, which lie in one folder under the names that gguf-split gives. */
int gguf_open(struct gguf **gp, const char *path, struct error *e);
/* The metadata are the first part's: the others need not be there, and of the tensors there are the first part's alone. */
int gguf_open_metadata(struct gguf **gp, const char *path, struct error *e);
/* A header in memory, of a file of file_bytes; data is copied. -ENODATA: the header goes on past n. It has no descriptor. */
int gguf_parse(struct gguf **gp, const void *data, size_t n, uint64_t file_bytes, struct error *e);
/* NULL does nothing. Returns NULL. */
struct gguf *gguf_close(struct gguf *g);

/*
 * From then on the model has the pieces [n] in place of the tensors that they are of; those of one tensor stand together, and tensors
 * ascend. All tensors found before are void. -EINVAL: a piece that is not within its tensor, or whose name is another's too.
 */
int gguf_cut(struct gguf *g, const struct gguf_piece *piece, size_t n, struct error *e);
/* The tensors that were left out. */
size_t gguf_n_left_out(const struct gguf *g);
const struct gguf_tensor *gguf_left_out_at(const struct gguf *g, size_t i);

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

uint32_t gguf_version(const struct gguf *g); /* of the first file */
uint64_t gguf_bytes(const struct gguf *g);   /* of all files */
uint32_t gguf_n_file(const struct gguf *g);
const struct gguf_file *gguf_file_at(const struct gguf *g, uint32_t i);
/* The tensors have been read: what was parsed stays. */
void gguf_close_files(struct gguf *g);

/* What people call the model: general.name, else its file's name, that of parts without their number. Cut to n bytes. */
void gguf_name(const struct gguf *g, char *name, size_t n);

#endif
