/*
 * See weights.h. Plans where each tensor goes in the pool, cuts the work into jobs, and lets the loader run them.
 */
#include "daemon/weights/weights.h"

#include "daemon/util/cleanup.h"
#include "daemon/util/parallel.h"
#include "daemon/util/topology.h"
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
	pool_unmap(&w->pool);
	gguf_close(w->gguf);
	free(w->tensor);
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
	return error_set(e, 0,
			 "tensor '%.*s' has ggml type %u, which gyre does not read; quantize the model to one of %s",
			 (int)t->name.n, t->name.p, t->type, names);
}

/* Bytes of t in the pool; 0 with e set when gyre cannot hold it. */
static size_t packed_bytes(const struct gguf_tensor *t, struct error *e)
{
	const struct quant_info *q = quant_info(t->type);
	int len = (int)t->name.n;
	uint64_t panel;

	if (!q)
		return refuse_type(t, e);
	if (t->ne[2] != 1 || t->ne[3] != 1)
		return error_set(e, 0,
				 "tensor '%.*s' has %u dimensions; gyre reads vectors and matrices: use a dense model",
				 len, t->name.p, t->n_dim);
	panel = t->ne[0] / q->block_len * q->block_bytes;
	if (t->ne[0] > LOADER_JOB_MAX || panel > LOADER_JOB_MAX / PANEL_ROWS || t->ne[1] > INT32_MAX)
		return error_set(e, 0,
				 "tensor '%.*s' of %llu x %llu is too large (rows of at most %u KiB); the file is "
				 "damaged or of a "
				 "model that gyre does not read",
				 len, t->name.p, (unsigned long long)t->ne[1], (unsigned long long)t->ne[0],
				 LOADER_JOB_MAX / PANEL_ROWS >> 10);
	if (is_vector(t))
		return t->ne[0] * sizeof(float);
	return quant_packed_bytes(t->type, t->ne[1], t->ne[0]);
}

/* Rows per job: whole panels, close to LOADER_JOB_BYTES. */
static uint32_t job_rows(const struct gguf_tensor *t)
{
	uint64_t panel_bytes = t->bytes / t->ne[1] * PANEL_ROWS;
	uint64_t n = LOADER_JOB_BYTES / panel_bytes;

	return (uint32_t)(n ? n : 1) * PANEL_ROWS;
}

static size_t n_jobs(const struct gguf_tensor *t)
{
	return is_vector(t) ? 1 : (t->ne[1] + job_rows(t) - 1) / job_rows(t);
}

/* Where each tensor goes: fills w->tensor[] with offsets in place of pointers; counts bytes and jobs. */
static int plan_layout(struct weights *w, size_t *n_job, struct error *e)
{
	size_t n = gguf_n_tensor(w->gguf), bytes;

	*n_job = 0;
	for (size_t i = 0; i < n; i++) {
		const struct gguf_tensor *t = gguf_tensor_at(w->gguf, i);

		bytes = packed_bytes(t, e);
		if (!bytes)
			return -EINVAL;
		w->tensor[i] = (struct tensor){
			.type = is_vector(t) ? QUANT_F32 : t->type,
			.n_row = (uint32_t)t->ne[1],
			.n_col = (uint32_t)t->ne[0],
			.data = (const void *)(uintptr_t)w->n_bytes,
		};
		if (__builtin_add_overflow(w->n_bytes, bytes + TENSOR_ALIGN - 1, &w->n_bytes))
			return error_set(e, -EOVERFLOW,
					 "the model is larger than the address space; the file is damaged");
		w->n_bytes -= w->n_bytes % TENSOR_ALIGN;
		w->read_bytes += t->bytes;
		*n_job += n_jobs(t);
	}
	return 0;
}

static struct loader_job *plan_tensor(struct loader_job *job, const struct gguf_tensor *t, uint8_t *dst)
{
	uint64_t row_bytes = t->bytes / t->ne[1];
	uint32_t step = is_vector(t) ? 1 : job_rows(t);

	for (uint64_t row = 0; row < t->ne[1]; row += step) {
		uint64_t n = t->ne[1] - row < step ? t->ne[1] - row : step;

		*job++ = (struct loader_job){
			.name = t->name.p,
			.name_len = (uint32_t)t->name.n,
			.dst = dst + row * row_bytes,
			.offset = t->offset + row * row_bytes,
			.bytes = (uint32_t)(n * row_bytes),
			.type = t->type,
			.n_row = is_vector(t) ? 0 : (uint32_t)n,
			.n_col = (uint32_t)t->ne[0],
		};
	}
	return job;
}

/* Jobs in the order of the file's tensors, so that the disk sees mostly ascending reads. */
static void plan_jobs(struct weights *w, struct loader_job *job, struct loader *l)
{
	struct loader_job *end = job;

	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		uint8_t *dst = w->pool.base + (uintptr_t)w->tensor[i].data;

		end = plan_tensor(end, gguf_tensor_at(w->gguf, i), dst);
		w->tensor[i].data = dst;
	}
	l->job = job;
	l->n_job = (size_t)(end - job);
	for (size_t i = 0; i < l->n_job; i++)
		if (job[i].bytes > l->job_bytes_max)
			l->job_bytes_max = job[i].bytes;
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
	char why[128];
	int n = o && o->n_thread > 0 ? o->n_thread : cpu_default_threads(why, sizeof(why));

	return n < PARALLEL_MAX ? n : PARALLEL_MAX;
}

static int load_tensors(struct weights *w, const struct weights_options *o, struct error *e)
{
	int fd = gguf_fd(w->gguf);
	bool is_cached = loader_is_cached(fd, gguf_file_bytes(w->gguf));
	_cleanup_close_ int fd_direct = open_direct(fd, o ? o->direct : WEIGHTS_DIRECT_AUTO, is_cached);
	_cleanup_free_ struct loader_job *job = NULL;
	struct loader l = { .fd = fd, .fd_direct = fd_direct, .n_thread = n_threads(o) };
	size_t n_job;
	double start;
	int r;

	w->is_direct = fd_direct >= 0;
	l.is_cached = is_cached && !w->is_direct;
	w->tensor = calloc(gguf_n_tensor(w->gguf) + 1, sizeof(*w->tensor));
	if (!w->tensor)
		return error_set(e, -ENOMEM, "out of memory for the tensor table; free some memory");
	r = plan_layout(w, &n_job, e);
	if (r)
		return r;
	job = calloc(n_job + 1, sizeof(*job));
	if (!job)
		return error_set(e, -ENOMEM, "out of memory for the loader; free some memory");
	start = now_seconds();
	r = pool_reserve(&w->pool, w->n_bytes, "gyre-weights", e);
	w->pool_seconds = now_seconds() - start;
	if (r)
		return r;
	l.pool = w->pool.is_present ? NULL : &w->pool;
	plan_jobs(w, job, &l);
	r = loader_run(&l, e);
	return r ? r : pool_protect(&w->pool, e);
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
	beside_start(&beside);
	r = load_tensors(w, o, &inner);
	beside_join(&beside);
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
