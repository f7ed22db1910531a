/*
 * See weights.h. Finds each tensor's parts their places in the pools, cuts the work into jobs, and lets the loader run them.
 */
#include "daemon/weights/weights.h"

#include "daemon/util/cleanup.h"
#include "daemon/util/minmax.h"
#include "daemon/util/parallel.h"
#include "daemon/machine/topology.h"
#include "daemon/weights/loader.h"
#include "kernels/quant.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TENSOR_ALIGN 64u /* a cache line: what kernels ask for */

CLEANUP_FUNC(struct weights *, weights_free)

struct weights *weights_free(struct weights *w)
{
	if (!w)
		return NULL;
	for (uint32_t i = 0; i < NODE_MAX; i++)
		pool_unmap(&w->pool[i]);
	gguf_close(w->gguf);
	free(w->tensor);
	free(w->part);
	free(w);
	return NULL;
}

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_vector(const struct gguf_tensor *t)
{
	return t->ne[1] == 1 && t->n_dim < 2;
}

static int refuse_type(const struct gguf_tensor *t, struct error *e)
{
	char names[256] = "";
	size_t n = 0;

	for (uint32_t type = 0; type < QUANT_TYPE_MAX && n < sizeof(names); type++)
		if (quant_info(type))
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n ? " " : "",
					      quant_info(type)->name);
	return error_set(e, -EINVAL,
			 "tensor '%.*s' has ggml type %u, which gyre does not read; quantize the model to one of %s",
			 (int)t->name.n, t->name.p, t->type, names);
}

/* Whether gyre can hold t. */
static int check_tensor(const struct gguf_tensor *t, struct error *e)
{
	const struct quant_info *q = quant_info(t->type);
	int len = (int)t->name.n;
	uint64_t panel;

	if (!q)
		return refuse_type(t, e);
	if (t->ne[2] != 1 || t->ne[3] != 1)
		return error_set(e, -EINVAL,
				 "tensor '%.*s' has %u dimensions; gyre reads vectors and matrices: use a dense model",
				 len, t->name.p, t->n_dim);
	panel = t->ne[0] / q->block_len * q->block_bytes;
	if (t->ne[0] > LOADER_JOB_MAX || panel > LOADER_JOB_MAX / PANEL_ROWS || t->ne[1] > INT32_MAX)
		return error_set(e, -EINVAL,
				 "tensor '%.*s' of %llu x %llu is too large (rows of at most %u KiB); the file is "
				 "damaged or of a "
				 "model that gyre does not read",
				 len, t->name.p, (unsigned long long)t->ne[1], (unsigned long long)t->ne[0],
				 LOADER_JOB_MAX / PANEL_ROWS >> 10);
	return 0;
}

/* What a tensor is divided along. One whose shape is not the plan's stays whole, for the model to refuse by its name. */
static enum plan_axis tensor_axis(const struct weights *w, const struct gguf_tensor *t)
{
	enum plan_axis axis = w->plan.axis ? w->plan.axis(t->name.p, t->name.n) : PLAN_COPY;
	const struct plan_sum *sum = plan_sum(&w->plan, axis);
	uint32_t block = quant_info(t->type)->block_len;

	if (is_vector(t) || plan_extent(&w->plan, axis) != (sum ? t->ne[0] : t->ne[1]))
		return PLAN_COPY;
	for (uint32_t i = 0; sum && i < sum->n_chunk; i++)
		if (sum->cut[i] % block)
			return PLAN_COPY;
	return axis;
}

_Static_assert(PLAN_CHUNK_MAX == CHUNK_MAX, "the plan's chunks are the kernels'");

/* The columns of a partial sum, cut into its chunks. */
static struct tensor_part partial_at(const struct plan *p, const struct tensor *t, uint32_t i)
{
	const struct plan_sum *s = plan_sum(p, t->axis);
	struct plan_range r = s->partial[i];
	struct tensor_part part = { .node = plan_partial_node(s, i),
				    .n_row = t->n_row,
				    .col0 = s->cut[r.begin],
				    .n_col = s->cut[r.end] - s->cut[r.begin],
				    .chunks.n = r.end - r.begin };

	for (uint32_t c = 0; c <= part.chunks.n; c++)
		part.chunks.cut[c] = s->cut[r.begin + c] - part.col0;
	return part;
}

/* Part i of a tensor, without its memory. */
static struct tensor_part part_at(const struct plan *p, const struct tensor *t, uint32_t i)
{
	struct plan_range rows = { 0, t->n_row };

	if (plan_sum(p, t->axis))
		return partial_at(p, t, i);
	if (t->axis != PLAN_COPY)
		rows = plan_rows(p, t->axis, i);
	return (struct tensor_part){ .node = i,
				     .row0 = rows.begin,
				     .n_row = rows.end - rows.begin,
				     .n_col = t->n_col,
				     .chunks = { 1, { 0, t->n_col } } };
}

static size_t part_bytes(const struct tensor *t, const struct tensor_part *part)
{
	return t->is_vector  ? t->n_col * sizeof(float)
	       : part->n_row ? quant_packed_bytes(t->type, part->n_row, part->n_col)
			     : 0;
}

/* Rows per job: whole panels, close to LOADER_JOB_BYTES. */
static uint32_t job_rows(const struct gguf_tensor *t)
{
	uint64_t panel_bytes = t->bytes / t->ne[1] * PANEL_ROWS;
	uint64_t n = LOADER_JOB_BYTES / panel_bytes;

	return (uint32_t)(n ? n : 1) * PANEL_ROWS;
}

static int describe(struct weights *w, size_t *n_part, struct error *e)
{
	int r;

	*n_part = 0;
	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		const struct gguf_tensor *g = gguf_tensor_at(w->gguf, i);
		struct tensor *t = &w->tensor[i];

		r = check_tensor(g, e);
		if (r < 0)
			return r;
		*t = (struct tensor){ .type = is_vector(g) ? QUANT_F32 : g->type,
				      .n_row = (uint32_t)g->ne[1],
				      .n_col = (uint32_t)g->ne[0],
				      .is_vector = is_vector(g),
				      .axis = tensor_axis(w, g) };
		t->n_part = plan_sum(&w->plan, t->axis) ? plan_sum(&w->plan, t->axis)->n_partial : w->plan.n_node;
		*n_part += t->n_part;
		w->read_bytes += g->bytes;
	}
	return 0;
}

/* Where each part goes: fills w->part with offsets in place of pointers; counts each node's bytes. */
static int place(struct weights *w, uint64_t bytes[NODE_MAX], struct error *e)
{
	struct tensor_part *part = w->part;

	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		struct tensor *t = &w->tensor[i];

		t->part = part;
		for (uint32_t k = 0; k < t->n_part; k++, part++) {
			uint64_t *at;

			*part = part_at(&w->plan, t, k);
			at = &bytes[part->node];
			part->data = (void *)(uintptr_t)*at;
			if (__builtin_add_overflow(*at, part_bytes(t, part) + TENSOR_ALIGN - 1, at))
				return error_set(e, -EOVERFLOW,
						 "the model is larger than the address space; the file is damaged");
			*at -= *at % TENSOR_ALIGN;
		}
	}
	for (uint32_t i = 0; i < w->plan.n_node; i++)
		w->n_bytes += bytes[i];
	return 0;
}

struct job_list {
	struct loader_job *job; /* NULL: they are only counted */
	size_t n;
};

/* Jobs for rows [begin, end) of a tensor, which all of part[n_part] take. */
static void add_jobs(struct job_list *l, const struct gguf_tensor *g, const struct tensor *t, struct plan_range rows,
		     const struct tensor_part *part, uint32_t n_part)
{
	uint64_t row_bytes = g->bytes / g->ne[1];
	uint32_t step = t->is_vector ? 1 : job_rows(g);

	for (uint32_t row = rows.begin; row < rows.end; row += step) {
		uint32_t n = rows.end - row < step ? rows.end - row : step;

		if (l->job)
			l->job[l->n] = (struct loader_job){
				.name = g->name.p,
				.name_len = (uint32_t)g->name.n,
				.file = g->file,
				.part = part,
				.n_part = n_part,
				.offset = g->offset + row * row_bytes,
				.bytes = (uint32_t)(n * row_bytes),
				.type = g->type,
				.row0 = row,
				.n_row = t->is_vector ? 0 : n,
				.n_col = t->n_col,
			};
		l->n++;
	}
}

/* In the order of the file's tensors, so that the disk sees mostly ascending reads. */
static void add_all_jobs(struct job_list *l, const struct weights *w)
{
	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		const struct gguf_tensor *g = gguf_tensor_at(w->gguf, i);
		const struct tensor *t = &w->tensor[i];
		bool is_by_rows = t->axis != PLAN_COPY && !plan_sum(&w->plan, t->axis);

		if (!is_by_rows)
			add_jobs(l, g, t, (struct plan_range){ 0, t->n_row }, t->part, t->n_part);
		for (uint32_t k = 0; is_by_rows && k < t->n_part; k++) {
			const struct tensor_part *p = &t->part[k];

			add_jobs(l, g, t, (struct plan_range){ p->row0, p->row0 + p->n_row }, p, 1);
		}
	}
}

/* -1: read buffered. */
static int open_direct(int fd, enum weights_direct direct, bool is_cached)
{
	if (direct == WEIGHTS_DIRECT_NEVER || (direct == WEIGHTS_DIRECT_AUTO && is_cached))
		return -1;
	return loader_open_direct(fd);
}

static int n_threads(const struct weights_options *o)
{
	int n = o && o->n_thread > 0 ? o->n_thread : topology_default_threads();

	return n < PARALLEL_MAX ? n : PARALLEL_MAX;
}

static int take_memory(struct weights *w, const struct weights_options *o, const uint64_t bytes[NODE_MAX],
		       struct error *e)
{
	double start = now_seconds();
	int r = 0;

	for (uint32_t i = 0; i < w->plan.n_node && !r; i++) {
		int os_node = o && o->layout ? o->layout->node[i].os_node : -1;
		char name[32];

		snprintf(name, sizeof(name), w->plan.n_node > 1 ? "gyre-weights.%u" : "gyre-weights", i);
		r = pool_reserve(&w->pool[i], bytes[i], os_node, name, e);
	}
	if (!r)
		r = pool_suffice(w->pool, w->plan.n_node, "gyre-weights", e);
	w->pool_seconds = now_seconds() - start;
	for (size_t i = 0; i < gguf_n_tensor(w->gguf) && !r; i++)
		for (uint32_t k = 0; k < w->tensor[i].n_part; k++) {
			struct tensor_part *p = &w->tensor[i].part[k];

			p->data = w->pool[p->node].base + (uintptr_t)p->data;
		}
	return r;
}

static int read_all(struct weights *w, const struct weights_options *o, struct loader *l, struct error *e)
{
	_cleanup_free_ struct loader_job *job = NULL;
	struct job_list list = { 0 };
	int r;

	add_all_jobs(&list, w);
	job = calloc(list.n + 1, sizeof(*job));
	if (!job)
		return error_set(e, -ENOMEM, "out of memory for the loader; free some memory");
	list = (struct job_list){ .job = job };
	add_all_jobs(&list, w);
	l->job = job;
	l->n_job = list.n;
	l->pool = w->pool;
	l->n_thread = n_threads(o);
	for (size_t i = 0; i < l->n_job; i++)
		l->job_bytes_max = max_u32(l->job_bytes_max, job[i].bytes);
	r = loader_run(l, e);
	for (uint32_t i = 0; i < w->plan.n_node && !r; i++)
		r = pool_protect(&w->pool[i], e);
	return r;
}

static void files_close(struct loader *l)
{
	for (uint32_t i = 0; i < l->n_file; i++)
		if (l->file[i].fd_direct >= 0)
			close(l->file[i].fd_direct);
}

/* A file as it is read best: one that is in the page cache already is no work for the disk. */
static struct loader_file file_open(const struct gguf *g, uint32_t i, enum weights_direct direct)
{
	const struct gguf_file *f = gguf_file_at(g, i);
	struct loader_file l = { .path = gguf_n_file(g) > 1 ? f->path : NULL, .fd = f->fd };
	bool is_cached = loader_is_cached(l.fd, f->bytes);

	l.fd_direct = open_direct(l.fd, direct, is_cached);
	l.is_cached = is_cached && l.fd_direct < 0;
	return l;
}

static int lay_out(struct weights *w, uint64_t bytes[NODE_MAX], struct error *e)
{
	size_t n_part;
	int r;

	w->tensor = calloc(gguf_n_tensor(w->gguf) + 1, sizeof(*w->tensor));
	if (!w->tensor)
		return error_set(e, -ENOMEM, "out of memory for the tensor table; free some memory");
	r = describe(w, &n_part, e);
	if (r)
		return r;
	w->part = calloc(n_part + 1, sizeof(*w->part));
	if (!w->part)
		return error_set(e, -ENOMEM, "out of memory for the tensor table; free some memory");
	return place(w, bytes, e);
}

static int load_tensors(struct weights *w, const struct weights_options *o, struct error *e)
{
	struct loader_file file[GGUF_FILE_MAX];
	_cleanup_(files_close) struct loader l = { .file = file };
	uint64_t bytes[NODE_MAX] = { 0 };
	int r;

	for (; l.n_file < gguf_n_file(w->gguf); l.n_file++) {
		file[l.n_file] = file_open(w->gguf, l.n_file, o ? o->direct : WEIGHTS_DIRECT_AUTO);
		w->is_direct |= file[l.n_file].fd_direct >= 0;
	}
	r = lay_out(w, bytes, e);
	if (!r)
		r = take_memory(w, o, bytes, e);
	return r ? r : read_all(w, o, &l, e);
}

/* Without a plan all tensors are whole, on one node. */
static int make_plan(struct weights *w, const struct weights_options *o, struct error *e)
{
	uint32_t n_node = o && o->layout ? (uint32_t)o->layout->n_node : 1;

	w->plan.n_node = 1;
	return o && o->plan ? o->plan(&w->plan, w->gguf, n_node, e) : 0;
}

struct beside {
	const struct weights_options *o;
	const struct gguf *gguf;
	pthread_t thread;
	bool has_thread;
};

static void *beside_main(void *arg)
{
	const struct beside *b = arg;

	b->o->beside(b->o->arg, b->gguf);
	return NULL;
}

static void beside_start(struct beside *b)
{
	if (!b->o || !b->o->beside)
		return;
	b->has_thread = pthread_create(&b->thread, NULL, beside_main, b) == 0;
	if (!b->has_thread)
		beside_main(b);
}

static void beside_join(struct beside *b)
{
	if (b->has_thread)
		pthread_join(b->thread, NULL);
}

int weights_load(struct weights **wp, const char *path, const struct weights_options *o, struct error *e)
{
	_cleanup_(weights_freep) struct weights *w = calloc(1, sizeof(*w));
	struct beside beside = { .o = o };
	double start = now_seconds();
	struct error inner;
	int r;

	if (!w)
		return error_set(e, -ENOMEM, "out of memory loading '%s'; free some memory", path);
	r = gguf_open(&w->gguf, path, e);
	if (r)
		return r;
	if (!gguf_n_tensor(w->gguf))
		return error_set(e, -EINVAL, "model '%s' holds no tensors (a vocabulary only); give a full model",
				 path);
	beside.gguf = w->gguf;
	r = make_plan(w, o, &inner);
	if (r == 0) {
		beside_start(&beside);
		r = load_tensors(w, o, &inner);
		beside_join(&beside);
		gguf_close_files(w->gguf);
	}
	if (r)
		return error_set(e, r, "model '%s': %s", path, inner.text);
	w->seconds = now_seconds() - start;
	*wp = steal_ptr(w);
	return 0;
}

const struct tensor *weights_find(const struct weights *w, const char *name)
{
	const struct gguf_tensor *t = gguf_tensor_find(w->gguf, name);

	return t ? &w->tensor[t - gguf_tensor_at(w->gguf, 0)] : NULL;
}
