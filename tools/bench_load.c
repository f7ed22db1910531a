/*
 * `gyre bench load`: how long a model's weights take to load, beside two reads of the same files by as many threads, which do
 * nothing with them: into buffers that are used again and so stay in the cache, and into new memory of the kind that the
 * weights have, which is the least that any loader does. In turns, once with the files in the page cache and once without them.
 */
#include "tools/tool.h"

#include "daemon/gguf/gguf.h"
#include "daemon/model/model.h"
#include "daemon/machine/topology.h"
#include "daemon/util/minmax.h"
#include "daemon/weights/loader.h"
#include "daemon/weights/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct load {
	const char *path;
	struct gguf *gguf;
	struct loader_file file[GGUF_FILE_MAX];
	uint32_t n_file;
	int n_thread;
	uint64_t file_bytes;    /* of all files */
	uint64_t copy_bytes;    /* the same, each from a block on */
	struct loader_job *job; /* all of them, nothing packed */
	size_t n_job;
	uint64_t n_bytes; /* of the weights */
	const char *pages;
};

/* Medians, in seconds. */
struct load_figures {
	double read, copy, load, memory; /* copy: read into new memory; memory: of load, to take the pool's pages */
};

static size_t n_read(uint64_t bytes)
{
	return (size_t)((bytes + LOADER_JOB_BYTES - 1) / LOADER_JOB_BYTES);
}

static void plan_file(struct load *l, uint32_t file, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += LOADER_JOB_BYTES)
		l->job[l->n_job++] = (struct loader_job){ .name = "",
							  .file = file,
							  .offset = at,
							  .bytes = (uint32_t)min_size(bytes - at, LOADER_JOB_BYTES) };
}

static int plan(struct load *l, struct error *e)
{
	size_t n = 0;

	for (uint32_t i = 0; i < gguf_n_file(l->gguf); i++)
		n += n_read(gguf_file_at(l->gguf, i)->bytes);
	l->job = calloc(n + 1, sizeof(*l->job));
	if (!l->job)
		return error_set(e, -ENOMEM, "no memory for %zu reads", n);
	for (; l->n_file < gguf_n_file(l->gguf); l->n_file++) {
		const struct gguf_file *f = gguf_file_at(l->gguf, l->n_file);

		l->file[l->n_file] = (struct loader_file){ .path = f->path, .fd = f->fd, .copy0 = l->copy_bytes };
		plan_file(l, l->n_file, f->bytes);
		l->file_bytes += f->bytes;
		l->copy_bytes += (f->bytes + LOADER_ALIGN - 1) / LOADER_ALIGN * LOADER_ALIGN;
	}
	return 0;
}

static int read_once(struct load *l, bool is_cold, const struct pool *copy, double *seconds, struct error *e)
{
	struct loader loader = { .file = l->file,
				 .n_file = l->n_file,
				 .job = l->job,
				 .n_job = l->n_job,
				 .job_bytes_max = LOADER_JOB_BYTES,
				 .copy = copy,
				 .n_thread = l->n_thread };
	double begin;
	int r;

	for (uint32_t i = 0; i < l->n_file; i++) {
		l->file[i].is_cached = !is_cold;
		l->file[i].fd_direct = is_cold ? loader_open_direct(l->file[i].fd) : -1;
	}
	begin = now_s();
	r = loader_run(&loader, e);
	*seconds = now_s() - begin;
	for (uint32_t i = 0; i < l->n_file; i++)
		if (l->file[i].fd_direct >= 0)
			close(l->file[i].fd_direct);
	return r;
}

/* The pages are taken as the loader takes them: each thread just before it writes to them. */
static int copy_once(struct load *l, bool is_cold, double *seconds, struct error *e)
{
	struct pool pool = { .fd = -1 };
	double begin = now_s(), taken;
	int r = pool_reserve(&pool, l->copy_bytes, -1, "gyre-bench", e);

	if (r < 0)
		return r;
	taken = now_s() - begin;
	r = read_once(l, is_cold, &pool, seconds, e);
	*seconds += taken;
	pool_unmap(&pool);
	return r;
}

/* Pages of these files alone; those that others have mapped stay. */
static void drop_cache(const struct load *l)
{
	for (uint32_t i = 0; i < l->n_file; i++)
		posix_fadvise(l->file[i].fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int load_once(struct load *l, double *seconds, double *memory, struct error *e)
{
	struct weights_options o = { .plan = model_plan, .n_thread = l->n_thread };
	struct weights *w;
	int r = weights_load(&w, l->path, &o, e);

	if (r < 0)
		return r;
	*seconds = w->seconds;
	*memory = w->pool_seconds;
	l->n_bytes = w->n_bytes;
	l->pages = pool_kind_name(w->pool[0].kind);
	weights_free(w);
	return 0;
}

static int measure(struct load *l, bool is_cold, uint32_t n_repeat, struct load_figures *f, struct error *e)
{
	double *x = calloc(4 * n_repeat, sizeof(*x));
	double *read = x, *copy = x + n_repeat, *load = copy + n_repeat, *memory = load + n_repeat;
	int r = x ? 0 : error_set(e, -ENOMEM, "no memory for %u repetitions", n_repeat);

	for (uint32_t i = 0; i < n_repeat && r == 0; i++) {
		if (is_cold)
			drop_cache(l);
		r = read_once(l, is_cold, NULL, &read[i], e);
		if (is_cold)
			drop_cache(l);
		if (r == 0)
			r = copy_once(l, is_cold, &copy[i], e);
		if (is_cold)
			drop_cache(l);
		if (r == 0)
			r = load_once(l, &load[i], &memory[i], e);
	}
	if (r == 0)
		*f = (struct load_figures){ median(read, n_repeat), median(copy, n_repeat), median(load, n_repeat),
					    median(memory, n_repeat) };
	free(x);
	return r;
}

static json_t *figures_json(const struct load_figures *f)
{
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f}", "read_s", f->read, "read_into_new_memory_s", f->copy, "load_s",
			 f->load, "memory_s", f->memory, "ratio", f->load / f->read, "ratio_to_new_memory",
			 f->load / f->copy);
}

static void print_line(const char *name, const struct load *l, const struct load_figures *f)
{
	printf("%s  read %.3f s (%.2f GB/s), into new memory %.3f s  load %.3f s, %.2f and %.2f times these\n", name,
	       f->read, (double)l->file_bytes / f->read / 1e9, f->copy, f->load, f->load / f->read, f->load / f->copy);
}

static int print_figures(const struct args *a, const struct load *l, const struct load_figures *warm,
			 const struct load_figures *cold)
{
	if (a->json)
		return print_json(json_pack("{s:I,s:I,s:i,s:s,s:o,s:o}", "file_bytes", (json_int_t)l->file_bytes,
					    "weights_bytes", (json_int_t)l->n_bytes, "threads", l->n_thread, "pages",
					    l->pages, "warm", figures_json(warm), "cold", figures_json(cold)));
	print_line("warm", l, warm);
	print_line("cold", l, cold);
	printf("(%d threads, %s, medians of %u)\n", l->n_thread, l->pages, a->n_repeat);
	return TOOL_OK;
}

int bench_load_main(const struct args *given)
{
	struct args a = *given;
	struct load l = { .path = a.word[0] };
	struct load_figures warm = { 0 }, cold = { 0 };
	struct error e = { "" };
	double ignored, none;
	int r;

	a.n_repeat = a.n_repeat ? a.n_repeat : 5;
	l.n_thread = a.n_thread ? (int)a.n_thread : topology_default_threads();
	if (gguf_open(&l.gguf, l.path, &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	r = plan(&l, &e);
	if (r == 0)
		r = read_once(&l, false, NULL, &ignored, &e); /* into the page cache */
	if (r == 0)
		r = load_once(&l, &ignored, &none, &e); /* a guest's memory is slow at its first touch */
	if (r == 0)
		r = measure(&l, false, a.n_repeat, &warm, &e);
	if (r == 0)
		r = measure(&l, true, a.n_repeat, &cold, &e);
	free(l.job);
	gguf_close(l.gguf);
	return r < 0 ? fail(TOOL_FAILED, "%s", e.text) : print_figures(&a, &l, &warm, &cold);
}
