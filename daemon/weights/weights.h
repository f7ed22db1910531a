/*
 * A model's weights: read from a GGUF file with deep io_uring reads, packed into panels (kernels/quant.h) by a few threads
 * while the reading goes on, and read-only from then on. Loaded on the control thread before the daemon says ready.
 */
#ifndef GYRE_DAEMON_WEIGHTS_WEIGHTS_H
#define GYRE_DAEMON_WEIGHTS_WEIGHTS_H

#include "daemon/util/error.h"
#include "daemon/weights/gguf.h"
#include "daemon/weights/pool.h"

struct tensor {
	uint32_t type;         /* enum quant_type; QUANT_F32 for 1-D */
	uint32_t n_row, n_col; /* 1-D: n_row = 1 */
	const void *data;      /* 2-D: packed panels; 1-D: f32[n_col]. 64-byte aligned */
};

struct weights {
	struct pool pool;
	struct gguf *gguf;
	struct tensor *tensor; /* [gguf_n_tensor], in the file's order */
	uint64_t n_bytes;      /* packed bytes in use */
	uint64_t read_bytes;   /* bytes read from the file */
	bool is_direct;        /* with O_DIRECT */
	double seconds;        /* to load */
	double pool_seconds;   /* of these, to take the memory */
};

enum weights_direct { WEIGHTS_DIRECT_AUTO, WEIGHTS_DIRECT_NEVER, WEIGHTS_DIRECT_ALWAYS };

struct weights_options {
	int n_thread;               /* packers; 0: cpu_default_threads */
	enum weights_direct direct; /* AUTO: when the file system takes it and the file is not in the page cache */
	/* NULL, or called once, on a thread of its own, while the tensors are read: for what needs the header alone. It has
	 * returned when weights_load returns, and is not called for a header that is refused. */
	void (*beside)(void *arg, const struct gguf *g);
	void *arg;
};

/* o may be NULL. e says which tensor or which limit, and what to do about it. */
int weights_load(struct weights **wp, const char *path, const struct weights_options *o, struct error *e);
const struct tensor *weights_find(const struct weights *w, const char *name); /* NULL: absent */
/* NULL does nothing. Returns NULL. */
struct weights *weights_free(struct weights *w);

#endif
