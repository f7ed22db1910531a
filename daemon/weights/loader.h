/*
 * Moves a model's tensors from the file into the pools, packed. Each thread owns an io_uring and its staging buffers, takes
 * the next piece of work from one shared counter, and packs one buffer while the kernel fills the others.
 */
#ifndef GYRE_DAEMON_WEIGHTS_LOADER_H
#define GYRE_DAEMON_WEIGHTS_LOADER_H

#include "daemon/util/error.h"
#include "daemon/weights/weights.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOADER_JOB_BYTES \
	(512u << 10)         /* a job aims at this: deep queues of it saturate NVMe, and it sits in L2 while packed */
#define LOADER_ALIGN   4096u /* of direct reads: suits every block device's logical block */
#define LOADER_JOB_MAX (64u << 20) /* one panel must fit: rows of up to a million f32 */

/*
 * Consecutive rows of one tensor, contiguous in the file: of one expert or matrix, and then whole panels of each part, or of several
 * whole experts.
 */
struct loader_job {
	const char *name;               /* of the tensor, for messages; not NUL-terminated */
	const struct tensor_part *part; /* [n_part], of which each takes its rows and columns of these */
	uint32_t n_part;                /* 0: read and dropped, to time the reading alone */
	uint32_t name_len;
	uint32_t file;   /* of loader's */
	uint64_t offset; /* in the file */
	uint32_t bytes;  /* to read; <= LOADER_JOB_MAX */
	/* Of a piece whose rows do not lie together: of these bytes the first so many are the job's, then come gap others, then run of
	 * the job's, and so on. gap 0: all are. */
	uint32_t head, run, gap;
	uint32_t type;
	uint32_t expert, n_expert;
	uint32_t row0, n_row; /* of each; n_row 0: a vector, converted to f32 */
	uint32_t n_col;
};

/* One of the model's files. */
struct loader_file {
	const char *path; /* for messages; NULL: it is the only one */
	int fd;           /* buffered */
	int fd_direct;    /* the same file with O_DIRECT; -1: read buffered */
	bool is_cached;   /* a read is a copy: no queue */
	uint64_t
		copy0; /* where its bytes begin in `copy`: a multiple of LOADER_ALIGN, for a direct read writes whole blocks */
};

struct loader {
	const struct loader_file *file; /* [n_file] */
	uint32_t n_file;
	const struct loader_job *job; /* [n_job] */
	size_t n_job;
	uint32_t job_bytes_max;
	const struct pool *pool; /* of each node, which parts lie in; NULL: none do */
	const struct pool *copy; /* the files' bytes stay in it as they are, to time that; NULL: they do not */
	int n_thread;            /* 1..PARALLEL_MAX */
};

/* Returns when every job is done, or with the first error. */
int loader_run(const struct loader *l, struct error *e);

/* Opens fd's file again with O_DIRECT. -1 when the file system refuses. */
int loader_open_direct(int fd);
/* Whether samples over the file are in the page cache already, where a buffered read is a memcpy. */
bool loader_is_cached(int fd, uint64_t file_bytes);

#endif
