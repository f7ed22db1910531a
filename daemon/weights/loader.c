/*
 * See loader.h. Rejected: one reading thread that feeds packers through a queue (a second hand-over, and the reader
 * becomes the bottleneck when the file is cached and a read is a copy).
 *
 * A file in the page cache is read with pread into one buffer, which stays in L2 until it is packed: a ring's reads would
 * all be copied at once and wait in L3. So is any file where the host forbids io_uring (kernel.io_uring_disabled, a
 * container's seccomp filter).
 */
#include "daemon/weights/loader.h"

#include "daemon/util/cleanup.h"
#include "daemon/util/parallel.h"
#include "daemon/util/readfile.h"
#include "daemon/weights/pack.h"
#include "shm/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define QUEUE_DEPTH 8u          /* reads in flight per thread */
#define RUN_JOBS    8u          /* 4 MiB: two huge pages */
#define STAGING_MAX (64u << 20) /* per thread; long rows get fewer buffers */

struct loader_slot {
	uint8_t *buf;
	const struct loader_job *job;
	uint32_t skip; /* bytes before the job's first in buf: O_DIRECT reads start at a block */
};

struct loader_team {
	const struct loader *l;
	uint64_t next_job;  /* atomic */
	uint32_t is_failed; /* atomic */
};

struct loader_worker {
	struct loader_team *team;
	struct io_uring ring;
	bool has_ring;
	size_t job, job_end; /* of its run */
	uint32_t depth;
	uint8_t *staging;
	size_t staging_bytes;
	struct loader_slot slot[QUEUE_DEPTH];
	uint32_t free_slot[QUEUE_DEPTH], n_free;
	uint32_t n_flight; /* reads the kernel has */
	struct error error;
	int code;
};

static size_t buffer_bytes(const struct loader *l)
{
	size_t n = (size_t)l->job_bytes_max + 2 * LOADER_ALIGN;

	return n - n % LOADER_ALIGN;
}

/* A filter may let a ring be made and forbid to use it. */
static bool ring_open(struct io_uring *ring)
{
	int r = io_uring_queue_init(QUEUE_DEPTH, ring, 0);
	struct io_uring_cqe *cqe;

	if (r < 0)
		return false;
	io_uring_prep_nop(io_uring_get_sqe(ring));
	r = io_uring_submit_and_wait(ring, 1);
	if (r >= 0 && io_uring_peek_cqe(ring, &cqe) == 0) {
		io_uring_cqe_seen(ring, cqe);
		return true;
	}
	io_uring_queue_exit(ring);
	return false;
}

/* Where every file is a copy, or the host allows no ring, reads are made one by one. */
static bool wants_ring(const struct loader *l)
{
	for (uint32_t i = 0; i < l->n_file; i++)
		if (!l->file[i].is_cached)
			return true;
	return false;
}

static int worker_init(struct loader_worker *w, struct loader_team *team)
{
	size_t each = buffer_bytes(team->l);

	w->team = team;
	w->depth = each * QUEUE_DEPTH <= STAGING_MAX ? QUEUE_DEPTH : 1;
	w->has_ring = wants_ring(team->l) && ring_open(&w->ring);
	if (!w->has_ring)
		w->depth = 1;
	w->staging_bytes = each * w->depth;
	w->staging = mmap(NULL, w->staging_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->staging == MAP_FAILED) {
		w->staging = NULL;
		return error_set(&w->error, -ENOMEM, "out of memory for %zu KiB of read buffers; free some memory",
				 w->staging_bytes >> 10);
	}
	madvise(w->staging, w->staging_bytes, MADV_HUGEPAGE);
	for (uint32_t i = 0; i < w->depth; i++) {
		w->slot[i].buf = w->staging + i * each;
		w->free_slot[w->n_free++] = i;
	}
	return 0;
}

static void worker_deinit(struct loader_worker *w)
{
	if (w->has_ring)
		io_uring_queue_exit(&w->ring);
	if (w->staging)
		munmap(w->staging, w->staging_bytes);
}

static int job_error(struct loader_worker *w, const struct loader_job *job, int code)
{
	const char *path = w->team->l->file[job->file].path;

	if (code == -ENODATA)
		return error_set(&w->error, -EIO,
				 "tensor '%.*s': the file %s%sbecame shorter while it was read; download it again",
				 (int)job->name_len, job->name, path ? path : "", path ? " " : "");
	return error_set(&w->error, code, "tensor '%.*s': reading %s%sfailed: %s; check the disk (dmesg) and the file",
			 (int)job->name_len, job->name, path ? path : "", path ? " " : "", strerror(-code));
}

/* The rest of a short read, buffered: rare, and the tail of a file is no multiple of a disk block. */
static int read_rest(const struct loader *l, struct loader_slot *s, size_t have)
{
	size_t want = (size_t)s->skip + s->job->bytes, got;
	int r;

	if (have >= want)
		return 0;
	r = readfile_at(l->file[s->job->file].fd, s->buf + have, want - have, s->job->offset - s->skip + have, &got);
	return r ? r : got < want - have ? -ENODATA : 0;
}

/* The read of slot i ended with res. Packs it and frees the slot. */
static int slot_finish(struct loader_worker *w, uint32_t i, int res)
{
	struct loader_slot *s = &w->slot[i];
	int r;

	/* A direct read that the file system refuses late is read again, buffered. */
	if (res == -EINVAL || res == -EAGAIN || res == -EINTR)
		res = 0;
	r = res < 0 ? res : read_rest(w->team->l, s, (size_t)res);
	if (r)
		return job_error(w, s->job, r);
	if (s->job->n_part) {
		pack_gather(s->job, s->buf + s->skip);
		if (!pack_job(s->job, s->buf + s->skip))
			return error_set(
				&w->error, -EINVAL,
				"tensor '%.*s' has numbers that are no finite ones, among its rows from %u on: the "
				"file is damaged; download it again",
				(int)s->job->name_len, s->job->name, s->job->row0);
	}
	w->free_slot[w->n_free++] = i;
	return 0;
}

static uint8_t *copy_at(const struct loader *l, const struct loader_job *job)
{
	return l->copy->base + l->file[job->file].copy0 + job->offset;
}

static int slot_start(struct loader_worker *w, const struct loader_job *job)
{
	const struct loader *l = w->team->l;
	const struct loader_file *f = &l->file[job->file];
	uint32_t i = w->free_slot[--w->n_free];
	struct loader_slot *s = &w->slot[i];
	bool is_queued = w->has_ring && !f->is_cached, is_direct = f->fd_direct >= 0 && is_queued;
	struct io_uring_sqe *sqe;
	uint32_t n;

	s->job = job;
	if (l->copy)
		s->buf = copy_at(l, job);
	s->skip = is_direct ? (uint32_t)(job->offset % LOADER_ALIGN) : 0;
	if (!is_queued)
		return slot_finish(w, i, 0);
	n = s->skip + job->bytes;
	if (is_direct)
		n = (n + LOADER_ALIGN - 1) / LOADER_ALIGN * LOADER_ALIGN;
	sqe = io_uring_get_sqe(&w->ring); /* the ring is as deep as there are slots */
	io_uring_prep_read(sqe, is_direct ? f->fd_direct : f->fd, s->buf, n, job->offset - s->skip);
	sqe->user_data = i;
	w->n_flight++;
	return 0;
}

/* The pages that jobs [begin, end) write to: just before, so that what the kernel clears is still in the cache. */
static int populate(struct loader_worker *w, size_t begin, size_t end)
{
	const struct loader *l = w->team->l;
	const struct loader_job *job = l->job;
	int r = 0;

	if (l->copy && !l->copy->is_present)
		r = pool_populate(l->copy, copy_at(l, &job[begin]), copy_at(l, &job[end - 1]) + job[end - 1].bytes);
	if (r)
		return error_set(&w->error, r, "cannot take memory to read into: %s; free some memory", strerror(-r));
	for (size_t i = begin, next; i < end && !r && l->pool; i = next) {
		for (next = i + 1; next < end && job[next].part == job[i].part; next++)
			;
		for (uint32_t k = 0; k < job[i].n_part && !r; k++)
			r = pack_populate(l->pool, &job[i].part[k], &job[i], &job[next - 1]);
		if (r)
			return error_set(&w->error, r, "cannot take memory for tensor '%.*s': %s; free some memory",
					 (int)job[i].name_len, job[i].name, strerror(-r));
	}
	return 0;
}

/* The next job; NULL when there is none or another worker failed. They are taken in runs, whose pages one worker takes. */
static int next_job(struct loader_worker *w, const struct loader_job **job)
{
	struct loader_team *t = w->team;
	int r = 0;

	*job = NULL;
	if (load_relaxed(&t->is_failed))
		return 0;
	if (w->job == w->job_end) {
		w->job = fetch_add64(&t->next_job, RUN_JOBS);
		w->job_end = w->job + RUN_JOBS < t->l->n_job ? w->job + RUN_JOBS : t->l->n_job;
		if (w->job >= w->job_end) {
			w->job = w->job_end;
			return 0;
		}
		if (t->l->pool || t->l->copy)
			r = populate(w, w->job, w->job_end);
	}
	*job = &t->l->job[w->job++];
	return r;
}

/* Waits for one read: its slot and result. */
static int ring_wait(struct loader_worker *w, uint32_t *i, int *res)
{
	struct io_uring_cqe *cqe;
	int r;

	do {
		r = io_uring_submit_and_wait(&w->ring, 1);
		if (r >= 0)
			r = io_uring_wait_cqe(&w->ring, &cqe);
	} while (r == -EINTR || r == -EAGAIN);
	if (r < 0)
		return error_set(&w->error, r, "io_uring failed: %s; check kernel.io_uring_disabled", strerror(-r));
	*i = (uint32_t)cqe->user_data;
	*res = cqe->res;
	io_uring_cqe_seen(&w->ring, cqe);
	w->n_flight--;
	return 0;
}

static int finish_one(struct loader_worker *w)
{
	uint32_t i;
	int res, r = ring_wait(w, &i, &res);

	return r ? r : slot_finish(w, i, res);
}

/* After an error: a ring's exit does not wait for reads in flight, and they must not land in memory that is someone else's. */
static void worker_drain(struct loader_worker *w)
{
	struct error first = w->error;
	uint32_t i;
	int res;

	while (w->n_flight && !ring_wait(w, &i, &res))
		;
	w->error = first;
}

static int worker_loop(struct loader_worker *w)
{
	const struct loader_job *job;
	bool is_more = true;
	int r = 0;

	while (!r && (is_more || w->n_flight)) {
		while (!r && is_more && w->n_free) {
			r = next_job(w, &job);
			is_more = job != NULL;
			if (job && !r)
				r = slot_start(w, job);
		}
		if (!r && w->n_flight)
			r = finish_one(w);
	}
	worker_drain(w);
	return r;
}

static void worker_run(void *arg, int i)
{
	struct loader_worker *w = (struct loader_worker *)arg + i;

	w->code = worker_loop(w);
	if (w->code)
		store_relaxed(&w->team->is_failed, true);
}

int loader_run(const struct loader *l, struct error *e)
{
	struct loader_team team = { .l = l };
	_cleanup_free_ struct loader_worker *w = calloc((size_t)l->n_thread, sizeof(*w));
	int n = 0, r = 0;

	if (!w)
		return error_set(e, -ENOMEM, "out of memory for the loader; free some memory");
	for (; n < l->n_thread && !r; n++)
		r = w[n].code = worker_init(&w[n], &team);
	if (!r)
		parallel_run(n, worker_run, w);
	for (int i = n - 1; i >= 0; i--) {
		if (w[i].code)
			r = error_set(e, w[i].code, "%s", w[i].error.text);
		worker_deinit(&w[i]);
	}
	return r;
}

int loader_open_direct(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
}

bool loader_is_cached(int fd, uint64_t file_bytes)
{
	enum { N_SAMPLE = 32 };
	char byte;
	struct iovec iov = { &byte, 1 };

	for (uint64_t i = 0; i < N_SAMPLE; i++)
		if (preadv2(fd, &iov, 1, (off_t)(file_bytes / N_SAMPLE * i), RWF_NOWAIT) < 0 && errno == EAGAIN)
			return false;
	return true;
}
