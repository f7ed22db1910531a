/*
 * A model, made of the headers of its files: opened, closed, named.
 */
#include "daemon/gguf/gguf_own.h"

#include <stdio.h>

#define HEADER_FIRST (2u << 20)   /* the first piece read: covers vocabularies of 50,000 */
#define PART_FIRST   (128u << 10) /* of a further part, which has tensors alone: some thousand of them */

CLEANUP_FUNC(struct gguf *, gguf_close)

struct parts {
	struct gguf_header *h[GGUF_FILE_MAX];
	uint32_t n;
};

static void parts_free(struct parts *p)
{
	while (p->n)
		gguf_header_free(p->h[--p->n]);
}

struct gguf *gguf_close(struct gguf *g)
{
	if (!g)
		return NULL;
	for (uint32_t i = 0; i < g->n_file; i++)
		gguf_header_free(g->header[i]);
	free(g->header);
	free(g->tensor);
	free(g->tensor_by_name);
	free(g->left_out);
	while (g->n_name)
		free(g->name[--g->n_name]);
	free(g->name);
	free(g);
	return NULL;
}

void gguf_close_files(struct gguf *g)
{
	for (uint32_t i = 0; i < g->n_file; i++)
		if (g->header[i]->file.fd >= 0)
			close(steal_fd(&g->header[i]->file.fd));
}

static int alloc_model(struct gguf **gp, uint32_t n_file, size_t n_tensor, struct error *e)
{
	_cleanup_(gguf_closep) struct gguf *g = calloc(1, sizeof(*g));

	if (g) {
		g->header = calloc(n_file, sizeof(struct gguf_header *));
		g->tensor = calloc(n_tensor + 1, sizeof(*g->tensor));
		g->tensor_by_name = calloc(n_tensor + 1, sizeof(*g->tensor_by_name));
	}
	if (!g || !g->header || !g->tensor || !g->tensor_by_name)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	*gp = steal_ptr(g);
	return 0;
}

/* Takes h[n] when it succeeds. */
static int model_new(struct gguf **gp, struct gguf_header *const *h, uint32_t n, struct error *e)
{
	_cleanup_(gguf_closep) struct gguf *g = NULL;
	size_t n_tensor = 0;
	int r;

	for (uint32_t i = 0; i < n; i++)
		n_tensor += h[i]->n_tensor;
	if (n_tensor > GGUF_TENSOR_MAX)
		return error_set(e, -EINVAL, "the parts have %zu tensors together (at most %u allowed): " DAMAGED,
				 n_tensor, GGUF_TENSOR_MAX);
	r = alloc_model(&g, n, n_tensor, e);
	if (r)
		return r;
	for (uint32_t i = 0; i < n; i++)
		for (size_t k = 0; k < h[i]->n_tensor; k++) {
			g->tensor[g->n_tensor] = h[i]->tensor[k];
			g->tensor[g->n_tensor++].file = i;
		}
	r = gguf_index_names(g, e);
	if (r)
		return r;
	memcpy(g->header, h, n * sizeof(struct gguf_header *));
	g->n_file = n;
	*gp = steal_ptr(g);
	return 0;
}

/* The last name of the file's path. */
static const char *base(const struct gguf_header *h)
{
	const char *path = h->file.path ? h->file.path : "in memory", *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int gguf_join(struct gguf **gp, struct gguf_header *const *h, uint32_t n, struct error *e)
{
	struct error inner;
	struct gguf_split s;
	size_t n_tensor = 0;

	for (uint32_t i = 0; i < n; i++) {
		int r = gguf_split_check(h[0], h[i], i, n, &inner);

		if (r)
			return error_set(e, r, "part %u ('%s'): %s", i + 1, base(h[i]), inner.text);
		n_tensor += h[i]->n_tensor;
	}
	gguf_split_read(&s, h[0], e);
	if (n > 1 && n_tensor != s.n_tensor)
		return error_set(
			e, -EINVAL,
			"the %u parts hold %zu tensors, not %u (split.tensors.count): one of them is damaged or "
			"another model's; download them again",
			n, n_tensor, s.n_tensor);
	return model_new(gp, h, n, e);
}

static int open_part(struct gguf_header **hp, const struct gguf_split *s, const char *path, uint32_t i, uint64_t max,
		     struct error *e)
{
	_cleanup_free_ char *own = NULL;
	struct error inner;
	int r = gguf_split_path(&own, s, path, i, e);

	if (r)
		return r;
	r = gguf_header_open(hp, own, i ? PART_FIRST : HEADER_FIRST, max, &inner);
	return r == -ENOENT ? error_set(e, r, "part %u of the model is missing: '%s'; put all %u parts in one folder",
					i + 1, own, s->count)
	       : r          ? error_set(e, r, "%s", inner.text)
			    : 0;
}

/* The first part, whichever was given. s: what the one that was given says. */
static int open_first(struct gguf_header **hp, struct gguf_split *s, const char *path, struct error *e)
{
	_cleanup_(gguf_header_freep) struct gguf_header *h = NULL;
	struct error inner;
	int r = gguf_header_open(&h, path, HEADER_FIRST, GGUF_HEADER_MAX, e);

	if (r)
		return r;
	r = gguf_split_read(s, h, &inner);
	if (r)
		return error_set(e, r, "model '%s': %s", path, inner.text);
	if (s->no) {
		h = gguf_header_free(h);
		r = open_part(&h, s, path, 0, GGUF_HEADER_MAX, e);
	}
	if (!r)
		*hp = steal_ptr(h);
	return r;
}

int gguf_open(struct gguf **gp, const char *path, struct error *e)
{
	_cleanup_(parts_free) struct parts p = { .n = 0 };
	uint64_t left = GGUF_HEADER_MAX;
	struct gguf_split s;
	struct error inner;
	int r = open_first(&p.h[0], &s, path, e);

	if (r)
		return r;
	for (p.n = 1; p.n < s.count; p.n++) {
		left -= p.h[p.n - 1]->n;
		r = open_part(&p.h[p.n], &s, path, p.n, left, e);
		if (r)
			return r;
	}
	r = gguf_join(gp, p.h, p.n, &inner);
	if (r)
		return error_set(e, r, "model '%s': %s", path, inner.text);
	p.n = 0;
	return 0;
}

int gguf_open_metadata(struct gguf **gp, const char *path, struct error *e)
{
	_cleanup_(gguf_header_freep) struct gguf_header *h = NULL;
	struct gguf_split s;
	struct error inner;
	int r = open_first(&h, &s, path, e);

	if (r)
		return r;
	r = gguf_split_check(h, h, 0, s.count, &inner);
	if (!r)
		r = model_new(gp, &h, 1, &inner);
	if (r)
		return error_set(e, r, "model '%s': %s", path, inner.text);
	h = NULL;
	return 0;
}

int gguf_parse(struct gguf **gp, const void *data, size_t n, uint64_t file_bytes, struct error *e)
{
	_cleanup_(gguf_header_freep) struct gguf_header *h = NULL;
	_cleanup_free_ uint8_t *copy = malloc(n + 1);
	int r;

	if (!copy)
		return error_set(e, -ENOMEM, "out of memory reading a GGUF header; free some memory");
	memcpy(copy, data, n);
	r = gguf_header_parse(&h, copy, n, file_bytes, e);
	if (r)
		return r;
	h->data = steal_ptr(copy);
	r = gguf_join(gp, &h, 1, e);
	if (!r)
		h = NULL;
	return r;
}

void gguf_name(const struct gguf *g, char *name, size_t n)
{
	const char *file = base(g->header[0]);
	struct gguf_split split;
	struct gguf_str s;
	struct error e;
	int n_stem;

	if (gguf_get_str(g, "general.name", &s) == 0 && s.n > 0) {
		snprintf(name, n, "%.*s", (int)(s.n < n ? s.n : n), s.p);
		return;
	}
	n_stem = gguf_split_read(&split, g->header[0], &e) == 0 && split.count > 1 ? gguf_split_stem(&split, file) : -1;
	if (n_stem >= 0)
		snprintf(name, n, "%.*s.gguf", n_stem, file);
	else
		snprintf(name, n, "%s", file);
}
