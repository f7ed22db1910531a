/*
 * See weights.h. Takes memory for what places.c lays out, and has the loader do the jobs of jobs.c.
 */
#include "daemon/weights/weights.h"

#include "daemon/util/cleanup.h"
#include "daemon/util/minmax.h"
#include "daemon/util/parallel.h"
#include "daemon/machine/topology.h"
#include "daemon/weights/loader.h"
#include "daemon/weights/places.h"
#include "shm/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

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

/* What were offsets become addresses. */
static void give_places(struct weights *w)
{
	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++)
		for (uint32_t k = 0; k < w->tensor[i].n_part; k++) {
			struct tensor_part *p = &w->tensor[i].part[k];

			p->data = w->pool[p->node].base + (uintptr_t)p->data;
		}
}

static int take_memory(struct weights *w, const struct weights_options *o, const uint64_t bytes[NODE_MAX],
		       struct error *e)
{
	double start = (double)clock_ns() * 1e-9;
	int r = 0;

	for (uint32_t i = 0; i < w->plan.n_node && !r; i++) {
		int os_node = o && o->layout ? o->layout->node[i].os_node : -1;
		char name[32];

		snprintf(name, sizeof(name), w->plan.n_node > 1 ? "gyre-weights.%u" : "gyre-weights", i);
		r = pool_reserve(&w->pool[i], bytes[i], os_node, name, e);
	}
	if (!r)
		r = pool_suffice(w->pool, w->plan.n_node, "gyre-weights", e);
	w->pool_seconds = (double)clock_ns() * 1e-9 - start;
	if (!r)
		give_places(w);
	return r;
}

/* Addresses in place of memory: what is not written takes none. */
static int take_addresses(struct weights *w, const uint64_t bytes[NODE_MAX], struct error *e)
{
	for (uint32_t i = 0; i < w->plan.n_node; i++) {
		size_t n = bytes[i] ? bytes[i] : 1;
		void *base = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (base == MAP_FAILED)
			return error_set(e, -errno, "%zu bytes of addresses cannot be had: %s; raise ulimit -v", n,
					 strerror(errno));
		w->pool[i] = (struct pool){
			.base = base, .bytes = n, .fd = -1, .kind = POOL_4K, .is_present = true, .os_node = -1
		};
	}
	give_places(w);
	return 0;
}

static int read_jobs(struct weights *w, struct loader *l, bool are_vectors, struct error *e)
{
	_cleanup_free_ struct loader_job *job = NULL;
	int r = weights_jobs(&job, &l->n_job, w, are_vectors, e);

	if (r)
		return r;
	l->job = job;
	l->pool = w->pool;
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
	r = weights_lay_out(w, bytes, e);
	if (!r)
		r = take_memory(w, o, bytes, e);
	l.n_thread = n_threads(o);
	return r ? r : read_jobs(w, &l, false, e);
}

/* In addresses alone, with the vectors, which are few bytes and which models look at when they are opened. */
static int outline(struct weights *w, struct error *e)
{
	struct loader_file file[GGUF_FILE_MAX];
	struct loader l = { .file = file, .n_thread = 1 };
	uint64_t bytes[NODE_MAX] = { 0 };
	int r = weights_lay_out(w, bytes, e);

	for (; l.n_file < gguf_n_file(w->gguf); l.n_file++) {
		const struct gguf_file *f = gguf_file_at(w->gguf, l.n_file);

		file[l.n_file] = (struct loader_file){ .path = gguf_n_file(w->gguf) > 1 ? f->path : NULL,
						       .fd = f->fd,
						       .fd_direct = -1,
						       .is_cached = true };
	}
	if (!r)
		r = take_addresses(w, bytes, e);
	return r ? r : read_jobs(w, &l, true, e);
}

/* Has the caller look at the tensors before there is memory for them. */
static int check(const struct weights *w, const struct weights_options *o, struct error *e)
{
	struct weights t = { .plan = w->plan, .gguf = w->gguf };
	int r;

	if (!o || !o->check)
		return 0;
	r = outline(&t, e);
	if (!r)
		r = o->check(&t, e);
	for (uint32_t i = 0; i < NODE_MAX; i++)
		pool_unmap(&t.pool[i]);
	free(t.tensor);
	free(t.part);
	return r;
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

/* Its files are open, and it has tensors. */
static int open_file(struct weights **wp, const char *path, struct error *e)
{
	_cleanup_(weights_freep) struct weights *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(e, -ENOMEM, "out of memory loading '%s'; free some memory", path);
	r = gguf_open(&w->gguf, path, e);
	if (r)
		return r;
	if (!gguf_n_tensor(w->gguf))
		return error_set(e, -EINVAL, "model '%s' holds no tensors (a vocabulary only); give a full model",
				 path);
	*wp = steal_ptr(w);
	return 0;
}

int weights_load(struct weights **wp, const char *path, const struct weights_options *o, struct error *e)
{
	_cleanup_(weights_freep) struct weights *w = NULL;
	struct beside beside = { .o = o };
	double start = (double)clock_ns() * 1e-9;
	struct error inner;
	int r = open_file(&w, path, e);

	if (r)
		return r;
	beside.gguf = w->gguf;
	r = make_plan(w, o, &inner);
	if (r == 0)
		r = check(w, o, &inner);
	if (r == 0) {
		beside_start(&beside);
		r = load_tensors(w, o, &inner);
		beside_join(&beside);
		gguf_close_files(w->gguf);
	}
	if (r)
		return error_set(e, r, "model '%s': %s", path, inner.text);
	w->seconds = (double)clock_ns() * 1e-9 - start;
	*wp = steal_ptr(w);
	return 0;
}

int weights_outline(struct weights **wp, const char *path, const struct weights_options *o, struct error *e)
{
	_cleanup_(weights_freep) struct weights *w = NULL;
	struct error inner;
	int r = open_file(&w, path, e);

	if (r)
		return r;
	r = make_plan(w, o, &inner);
	if (r == 0)
		r = outline(w, &inner);
	gguf_close_files(w->gguf);
	if (r)
		return error_set(e, r, "model '%s': %s", path, inner.text);
	*wp = steal_ptr(w);
	return 0;
}

const struct tensor *weights_find(const struct weights *w, const char *name)
{
	const struct gguf_tensor *t = gguf_tensor_find(w->gguf, name);

	return t ? &w->tensor[t - gguf_tensor_at(w->gguf, 0)] : NULL;
}
