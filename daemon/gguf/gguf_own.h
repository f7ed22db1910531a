/*
 * What the files of this folder share. gguf_open.c reads files, gguf_parse.c and gguf_kv.c make a struct gguf_header of each, gguf.c
 * makes a model of one header or, as gguf_split.c allows, of several; gguf_cut.c makes
 * several tensors of one; gguf_get.c answers questions about it.
 */
#ifndef GYRE_DAEMON_GGUF_GGUF_OWN_H
#define GYRE_DAEMON_GGUF_GGUF_OWN_H

#include "daemon/gguf/gguf.h"
#include "daemon/gguf/gguf_cursor.h"
#include "daemon/util/cleanup.h"

#define DAMAGED "the file is damaged; download it again"
#define NAME(s) (int)(s).n, (s).p

/* One file's header. */
struct gguf_header {
	struct gguf_file file;
	uint8_t *data; /* [n] the copy that everything points into */
	size_t n;
	uint32_t version;
	size_t n_kv, n_tensor;
	struct gguf_kv *kv;               /* [n_kv] */
	const struct gguf_kv **kv_by_key; /* [n_kv] sorted */
	struct gguf_tensor *tensor;       /* [n_tensor]; .file is 0 */
};

/* A model: its headers, of which the first has the metadata, and one table of their tensors. */
struct gguf {
	uint32_t n_file;
	struct gguf_header **header; /* [n_file] */
	size_t n_tensor;
	struct gguf_tensor *tensor;                /* [n_tensor], file by file */
	const struct gguf_tensor **tensor_by_name; /* [n_tensor] sorted */
	struct gguf_tensor *left_out;              /* [n_left_out] */
	size_t n_left_out;
	char **name; /* [n_name] of pieces */
	size_t n_name;
};

/* gguf_parse.c. The header points into data[n], which stays the caller's until he hands it over in ->data. */
int gguf_header_parse(struct gguf_header **hp, const uint8_t *data, size_t n, uint64_t file_bytes, struct error *e);
/* With its data, path and descriptor. NULL does nothing. Returns NULL. */
struct gguf_header *gguf_header_free(struct gguf_header *h);
CLEANUP_FUNC(struct gguf_header *, gguf_header_free)

/* gguf_kv.c: the metadata entries [n_kv] at the cursor. What kv[] points to is freed by gguf_kv_free. */
int gguf_kv_parse(struct gguf_kv *kv, size_t n_kv, struct gguf_cursor *c, struct error *e);
void gguf_kv_free(struct gguf_kv *kv, size_t n_kv);
uint32_t gguf_kv_width(enum gguf_type type); /* bytes of a value; 0: of a string or an array */

/* gguf_open.c: reads the file's header, at first `first` bytes of it and at most max. The error names the file. */
int gguf_header_open(struct gguf_header **hp, const char *path, uint64_t first, uint64_t max, struct error *e);

/* gguf_split.c: what a file says of the model it is a part of. */
struct gguf_split {
	uint32_t no, count, n_tensor; /* count 1: the file is the whole model, and the others are 0 */
};

int gguf_split_read(struct gguf_split *s, const struct gguf_header *h, struct error *e);
/* Whether h is part i of the count parts of the model that `first` begins. */
int gguf_split_check(const struct gguf_header *first, const struct gguf_header *h, uint32_t i, uint32_t count,
		     struct error *e);
/* How much of the path of part s->no stands before its number; -1: it is not named as a part. */
int gguf_split_stem(const struct gguf_split *s, const char *path);
/* The path of part i, malloced, by that of part s->no. */
int gguf_split_path(char **out, const struct gguf_split *s, const char *path, uint32_t i, struct error *e);

/* gguf.c: the model that h[n] are the parts of, in order, or h[0] is; it takes them when it succeeds. */
int gguf_join(struct gguf **gp, struct gguf_header *const *h, uint32_t n, struct error *e);

/* gguf_get.c: sorted tables, in which what is there twice is refused. */
int gguf_index_keys(struct gguf_header *h, struct error *e);
int gguf_index_names(struct gguf *g, struct error *e);
const struct gguf_kv *gguf_header_find(const struct gguf_header *h, const char *key); /* NULL: absent */
int gguf_header_get_u32(const struct gguf_header *h, const char *key, uint32_t *v);   /* as gguf_get_u32 */

#endif
