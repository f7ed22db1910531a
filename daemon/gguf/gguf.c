/*
 * A GGUF file's header: opening, the tensor table, and the checks that make the rest of the daemon trust it.
 *
 * The header's length is written nowhere, so gguf_open reads a first piece and doubles it while the parser says -ENODATA.
 * read(2) rather than mmap: a file that is truncated under a mapping is a SIGBUS.
 */
#include "daemon/gguf/gguf.h"

#include "daemon/util/cleanup.h"
#include "daemon/gguf/gguf_cursor.h"
#include "kernels/quant.h"

#include <fcntl.h>
#include <sys/stat.h>

#define GGUF_MAGIC       0x46554747u         /* "GGUF" */
#define HEADER_FIRST     (2u << 20)          /* the first piece read: covers vocabularies of 50,000 */
#define KV_BYTES_MIN     (8 + 1 + 4 + 1)     /* key length, key, type, value */
#define TENSOR_BYTES_MIN (8 + 1 + 4 + 4 + 8) /* name length, name, n_dims, type, offset */

struct gguf {
	uint8_t *header; /* [header_bytes] the copy everything points into */
	size_t header_bytes;
	uint64_t file_bytes;
	uint32_t version;
	int fd;
	size_t n_kv, n_tensor;
	struct gguf_kv *kv;                        /* [n_kv] */
	struct gguf_tensor *tensor;                /* [n_tensor] */
	const struct gguf_kv **kv_by_key;          /* [n_kv] sorted */
	const struct gguf_tensor **tensor_by_name; /* [n_tensor] sorted */
};

CLEANUP_FUNC(struct gguf *, gguf_close)

struct gguf *gguf_close(struct gguf *g)
{
	if (!g)
		return NULL;
	if (g->fd >= 0)
		close(g->fd);
	gguf_kv_free(g->kv, g->n_kv);
	free(g->tensor);
	free(g->kv_by_key);
	free(g->tensor_by_name);
	free(g->header);
	free(g);
	return NULL;
}

#define DAMAGED "the file is damaged; download it again"
#define NAME(s) (int)(s).n, (s).p

static int tensor_parse_one(struct gguf_tensor *t, struct gguf_cursor *c, struct error *e)
{
	t->name = gguf_take_str(c);
	t->n_dim = gguf_take_u32(c);
	if (c->code)
		return c->code;
	if (!t->name.n || t->name.n > GGUF_NAME_MAX)
		return error_set(e, -EINVAL, "GGUF tensor name of %llu bytes (1 to %d allowed): " DAMAGED,
				 (unsigned long long)t->name.n, GGUF_NAME_MAX);
	if (t->n_dim > GGUF_DIM_MAX)
		return error_set(e, -EINVAL, "tensor '%.*s' has %u dimensions (at most %d allowed): " DAMAGED,
				 NAME(t->name), t->n_dim, GGUF_DIM_MAX);
	for (uint32_t i = 0; i < GGUF_DIM_MAX; i++)
		t->ne[i] = i < t->n_dim ? gguf_take_u64(c) : 1;
	t->type = gguf_take_u32(c);
	t->offset = gguf_take_u64(c);
	return c->code;
}

/* ne[] and type -> bytes. An unknown type has none, and whoever wants its data refuses it by name. */
static int tensor_size(struct gguf_tensor *t, struct error *e)
{
	const struct quant_info *q = quant_info(t->type);
	uint64_t n = 1;

	for (int i = 0; i < GGUF_DIM_MAX; i++)
		if (!t->ne[i] || __builtin_mul_overflow(n, t->ne[i], &n))
			return error_set(e, -EINVAL, "tensor '%.*s' has an impossible shape: " DAMAGED, NAME(t->name));
	t->bytes = 0;
	if (!q)
		return 0;
	if (t->ne[0] % q->block_len)
		return error_set(
			e, -EINVAL,
			"tensor '%.*s': rows of %llu are not whole %s blocks of %u; quantize the model to another type",
			NAME(t->name), (unsigned long long)t->ne[0], q->name, q->block_len);
	if (__builtin_mul_overflow(n / q->block_len, (uint64_t)q->block_bytes, &t->bytes))
		return error_set(e, -EINVAL, "tensor '%.*s' has an impossible shape: " DAMAGED, NAME(t->name));
	return 0;
}

/* Offsets count from data0 in the file; absolute afterwards. */
static int tensor_place(struct gguf_tensor *t, uint64_t data0, uint32_t alignment, uint64_t file_bytes, struct error *e)
{
	if (t->offset % alignment)
		return error_set(e, -EINVAL, "tensor '%.*s' is not aligned to %u bytes: " DAMAGED, NAME(t->name),
				 alignment);
	if (__builtin_add_overflow(t->offset, data0, &t->offset) || t->offset > file_bytes ||
	    t->bytes > file_bytes - t->offset)
		return error_set(
			e, -EINVAL,
			"tensor '%.*s' ends past the end of the file: the file is truncated; download it again",
			NAME(t->name));
	return 0;
}

static int cmp_key(const void *a, const void *b)
{
	return gguf_str_cmp((*(const struct gguf_kv *const *)a)->key, (*(const struct gguf_kv *const *)b)->key);
}

static int cmp_name(const void *a, const void *b)
{
	return gguf_str_cmp((*(const struct gguf_tensor *const *)a)->name,
			    (*(const struct gguf_tensor *const *)b)->name);
}

static int cmp_offset(const void *a, const void *b)
{
	const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a, *y = *(const struct gguf_tensor *const *)b;

	return x->offset != y->offset ? (x->offset > y->offset) - (x->offset < y->offset)
				      : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int index_keys(struct gguf *g, struct error *e)
{
	for (size_t i = 0; i < g->n_kv; i++)
		g->kv_by_key[i] = &g->kv[i];
	qsort(g->kv_by_key, g->n_kv, sizeof(*g->kv_by_key), cmp_key);
	for (size_t i = 1; i < g->n_kv; i++)
		if (!cmp_key(&g->kv_by_key[i - 1], &g->kv_by_key[i]))
			return error_set(e, -EINVAL, "GGUF key '%.*s' appears twice: " DAMAGED,
					 NAME(g->kv_by_key[i]->key));
	return 0;
}

/* tensor_by_name serves as the offset index first. */
static int check_overlap(struct gguf *g, struct error *e)
{
	const struct gguf_tensor **t = g->tensor_by_name;

	qsort(t, g->n_tensor, sizeof(*t), cmp_offset);
	for (size_t i = 1; i < g->n_tensor; i++)
		if (t[i - 1]->offset + t[i - 1]->bytes > t[i]->offset)
			return error_set(e, -EINVAL, "tensors '%.*s' and '%.*s' overlap: " DAMAGED,
					 NAME(t[i - 1]->name), NAME(t[i]->name));
	return 0;
}

static int index_tensors(struct gguf *g, struct error *e)
{
	const struct gguf_tensor **t = g->tensor_by_name;
	int r;

	for (size_t i = 0; i < g->n_tensor; i++)
		t[i] = &g->tensor[i];
	r = check_overlap(g, e);
	if (r)
		return r;
	qsort(t, g->n_tensor, sizeof(*t), cmp_name);
	for (size_t i = 1; i < g->n_tensor; i++)
		if (!cmp_name(&t[i - 1], &t[i]))
			return error_set(e, -EINVAL, "tensor '%.*s' appears twice: " DAMAGED, NAME(t[i]->name));
	return 0;
}

static int read_alignment(const struct gguf *g, uint32_t *alignment, struct error *e)
{
	int r;

	*alignment = 32;
	r = gguf_get_u32(g, "general.alignment", alignment);
	if (r && r != -ENOENT)
		return error_set(e, r, "GGUF key 'general.alignment' is not a number: " DAMAGED);
	if (*alignment < 8 || *alignment & (*alignment - 1) || *alignment > 1u << 20)
		return error_set(e, -EINVAL, "general.alignment is %u, not a power of two from 8 to 1 MiB: " DAMAGED,
				 *alignment);
	return 0;
}

static int parse_tensors(struct gguf *g, struct gguf_cursor *c, struct error *e)
{
	uint32_t alignment;
	uint64_t data0;
	int r = read_alignment(g, &alignment, e);

	for (size_t i = 0; i < g->n_tensor && !r; i++)
		r = tensor_parse_one(&g->tensor[i], c, e);
	if (r)
		return r;
	data0 = (c->pos + (uint64_t)alignment - 1) & ~((uint64_t)alignment - 1);
	for (size_t i = 0; i < g->n_tensor; i++) {
		r = tensor_size(&g->tensor[i], e);
		if (!r)
			r = tensor_place(&g->tensor[i], data0, alignment, g->file_bytes, e);
		if (r)
			return r;
	}
	return index_tensors(g, e);
}

static int parse_counts(struct gguf *g, struct gguf_cursor *c, struct error *e)
{
	uint32_t magic = gguf_take_u32(c);
	uint64_t n_tensor, n_kv;

	g->version = gguf_take_u32(c);
	n_tensor = gguf_take_u64(c);
	n_kv = gguf_take_u64(c);
	if (c->n >= sizeof(magic) && magic != GGUF_MAGIC)
		return error_set(e, -EINVAL, "not a GGUF file; convert the model to GGUF first");
	if (c->code)
		return c->code;
	if (g->version != 2 && g->version != 3)
		return error_set(
			e, -EINVAL,
			"GGUF version %u%s; gyre reads little-endian versions 2 and 3: convert the model again",
			g->version, g->version & 0xffff ? "" : " (big endian)");
	if (n_kv > GGUF_KV_MAX || n_tensor > GGUF_TENSOR_MAX)
		return error_set(e, -EINVAL,
				 "GGUF header claims %llu keys and %llu tensors (at most %u and %u): " DAMAGED,
				 (unsigned long long)n_kv, (unsigned long long)n_tensor, GGUF_KV_MAX, GGUF_TENSOR_MAX);
	if (n_kv * KV_BYTES_MIN + n_tensor * TENSOR_BYTES_MIN > c->n - c->pos)
		return -ENODATA;
	g->n_kv = (size_t)n_kv;
	g->n_tensor = (size_t)n_tensor;
	return 0;
}

static int alloc_tables(struct gguf *g, struct error *e)
{
	g->kv = calloc(g->n_kv + 1, sizeof(*g->kv));
	g->kv_by_key = calloc(g->n_kv + 1, sizeof(*g->kv_by_key));
	g->tensor = calloc(g->n_tensor + 1, sizeof(*g->tensor));
	g->tensor_by_name = calloc(g->n_tensor + 1, sizeof(*g->tensor_by_name));
	if (!g->kv || !g->kv_by_key || !g->tensor || !g->tensor_by_name)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	return 0;
}

static int parse_header(struct gguf *g, struct error *e)
{
	struct gguf_cursor c = { .p = g->header, .n = g->header_bytes };
	int r = parse_counts(g, &c, e);

	if (!r)
		r = alloc_tables(g, e);
	if (!r)
		r = gguf_kv_parse(g->kv, g->n_kv, &c, e);
	if (!r)
		r = index_keys(g, e);
	return r ? r : parse_tensors(g, &c, e);
}

/* Takes header (malloced) and, when it succeeds, fd. */
static int gguf_new(struct gguf **gp, uint8_t *header, size_t n, uint64_t file_bytes, int fd, struct error *e)
{
	_cleanup_(gguf_closep) struct gguf *g = calloc(1, sizeof(*g));
	int r;

	if (!g) {
		free(header);
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	}
	*g = (struct gguf){ .header = header, .header_bytes = n, .file_bytes = file_bytes, .fd = -1 };
	r = parse_header(g, e);
	if (r)
		return r;
	g->fd = fd;
	*gp = steal_ptr(g);
	return 0;
}

int gguf_parse(struct gguf **gp, const void *data, size_t n, uint64_t file_bytes, struct error *e)
{
	uint8_t *header = malloc(n ? n : 1);

	if (!header)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	memcpy(header, data, n);
	return gguf_new(gp, header, n, file_bytes, -1, e);
}

/* Reads [0, n) of fd; fewer bytes only at the end of the file. */
static int read_head(uint8_t *buf, size_t n, size_t *got, int fd)
{
	for (*got = 0; *got < n;) {
		ssize_t r = pread(fd, buf + *got, n - *got, (off_t)*got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		*got += (size_t)r;
	}
	return 0;
}

static int open_file(int *fdp, uint64_t *file_bytes, const char *path, struct error *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang the daemon */
	struct stat st;

	if (fd < 0)
		return error_set(e, -errno, "cannot open model '%s': %s; check the path and its permissions", path,
				 strerror(errno));
	if (fstat(fd, &st))
		return error_set(e, -errno, "cannot stat model '%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "model '%s' is not a regular file; give the path of a .gguf file", path);
	*file_bytes = (uint64_t)st.st_size;
	*fdp = steal_fd(&fd);
	return 0;
}

static int open_prefix(struct gguf **gp, int fd, size_t want, uint64_t file_bytes, struct error *e)
{
	uint8_t *header = malloc(want ? want : 1);
	size_t got;
	int r;

	if (!header)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	r = read_head(header, want, &got, fd);
	if (r) {
		free(header);
		return error_set(e, r, "cannot read the GGUF header: %s", strerror(-r));
	}
	return gguf_new(gp, header, got, file_bytes, fd, e);
}

int gguf_open(struct gguf **gp, const char *path, struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct error inner;
	uint64_t file_bytes = 0;
	int r = open_file(&fd, &file_bytes, path, e);

	if (r == 0) /* all of it on its way at once, where a read alone would wait for one window after the other */
		posix_fadvise(fd, 0, HEADER_FIRST, POSIX_FADV_WILLNEED);

	for (uint64_t want = HEADER_FIRST; !r; want *= 2) {
		bool is_whole = want >= file_bytes;

		r = open_prefix(gp, fd, (size_t)(is_whole ? file_bytes : want), file_bytes, &inner);
		if (!r) {
			fd = -1;
			return 0;
		}
		if (r == -ENODATA && is_whole)
			return error_set(e, -EINVAL,
					 "model '%s': the header ends past the end of the file: it is truncated; "
					 "download it again",
					 path);
		if (r == -ENODATA && want >= GGUF_HEADER_MAX)
			return error_set(e, -EINVAL, "model '%s': header larger than %u MiB: " DAMAGED, path,
					 GGUF_HEADER_MAX >> 20);
		if (r != -ENODATA)
			return error_set(e, r, "model '%s': %s", path, inner.text);
		r = 0;
	}
	return r;
}

const struct gguf_kv *gguf_kv_find(const struct gguf *g, const char *key)
{
	struct gguf_kv probe = { .key = { key, strlen(key) } };
	const struct gguf_kv *pp = &probe;
	const struct gguf_kv **hit = bsearch(&pp, g->kv_by_key, g->n_kv, sizeof(pp), cmp_key);

	return hit ? *hit : NULL;
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name)
{
	struct gguf_tensor probe = { .name = { name, strlen(name) } };
	const struct gguf_tensor *pp = &probe;
	const struct gguf_tensor **hit = bsearch(&pp, g->tensor_by_name, g->n_tensor, sizeof(pp), cmp_name);

	return hit ? *hit : NULL;
}

size_t gguf_n_kv(const struct gguf *g)
{
	return g->n_kv;
}

const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i)
{
	return &g->kv[i];
}

size_t gguf_n_tensor(const struct gguf *g)
{
	return g->n_tensor;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
	return &g->tensor[i];
}

uint32_t gguf_version(const struct gguf *g)
{
	return g->version;
}

uint64_t gguf_file_bytes(const struct gguf *g)
{
	return g->file_bytes;
}

int gguf_fd(const struct gguf *g)
{
	return g->fd;
}
