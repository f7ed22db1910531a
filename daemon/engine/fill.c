#include "daemon/engine/fill.h"

#include "daemon/machine/placement.h"
#include "daemon/machine/topology.h"
#include "daemon/util/log.h"
#include "daemon/util/minmax.h"
#include "daemon/util/parallel.h"
#include "shm/atomic.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILL_NICE       19
#define FILL_LOOK_PARTS 32 /* two megabytes each: how often to look whether others have taken the memory */

/* Parts of the blocks from a shared counter. */
static void fill_parts(void *arg, int thread)
{
	struct fill *f = arg;
	size_t part, n = model_n_kv_part(f->model);

	(void)thread;
	while (!load_relaxed(&f->error) && (part = fetch_add64(&f->next_part, 1)) < n) {
		int r = model_populate_kv(f->model, f->pool, part, f->first, f->end);

		if (r < 0)
			store_relaxed(&f->error, (uint32_t)-r);
	}
}

static bool is_memory_left(void)
{
	return placement_available("", -1) >= POOL_RESERVE + FILL_LOOK_PARTS * ((size_t)2 << 20);
}

/* The next slot, which takes whole pages in any case. 0 or -errno. */
static int fill_slot(struct fill *f)
{
	uint32_t n = f->n_slot_present;
	int r = 0;

	for (uint32_t i = 0; i < model_n_node(f->model) && r == 0; i++)
		r = model_populate_slots(f->model, f->pool, i, n, n + 1);
	if (r < 0)
		return r;
	f->n_slot_present = n + 1;
	kv_set_slots_present(f->kv, n + 1);
	return 0;
}

/* The other slots, one by one. 0, -ECANCELED, or -errno. */
static int fill_slots(struct fill *f)
{
	int r = 0;

	while (r == 0 && f->n_slot_present < f->kv->book->n_slot) {
		if (load_relaxed(&f->is_stopping))
			return -ECANCELED;
		r = is_memory_left() ? fill_slot(f) : -ENOMEM;
	}
	return r;
}

/* The next blocks, part by part. 0, -ECANCELED, or -errno. */
static int fill_next(struct fill *f, uint32_t end)
{
	size_t n = model_n_kv_part(f->model);

	for (size_t part = 0; part < n; part++) {
		int r;

		if (load_relaxed(&f->is_stopping))
			return -ECANCELED;
		if (part % FILL_LOOK_PARTS == 0 && !is_memory_left())
			return -ENOMEM;
		r = model_populate_kv(f->model, f->pool, part, f->n_present, end);
		if (r < 0)
			return r;
	}
	f->n_present = end;
	kv_set_present(f->kv, end);
	return 0;
}

static void *fill_main(void *arg)
{
	struct fill *f = arg;
	uint32_t n_page = model_kv_page_blocks(f->model), n = f->kv->book->n_block;
	int r;

	pthread_setname_np(pthread_self(), "gyred-memory");
	placement_prefer(-1);
	setpriority(PRIO_PROCESS, (id_t)gettid(), FILL_NICE);
	r = fill_slots(f);
	while (r == 0 && f->n_present < n)
		r = fill_next(f, min_u32(n, f->n_present + n_page));
	if (r < 0 && r != -ECANCELED)
		log_warn("kv: %u of %u blocks and %u of %u states have memory, the rest was taken by others meanwhile "
			 "(%s): free memory or lower --kv-bytes, and start again",
			 f->n_present, n, f->n_slot_present, f->kv->book->n_slot, strerror(-r));
	return NULL;
}

int fill_start(struct fill *f, struct kv *kv, const struct model *m, const struct pool pool[NODE_MAX], uint32_t n_least,
	       struct error *e)
{
	uint32_t n_page = model_kv_page_blocks(m), n = kv->book->n_block;
	int r;

	/* Whole pages of each part, or the last of them would be taken in any case. */
	n_least = n_least / n_page * n_page + (n_least % n_page ? n_page : 0);
	*f = (struct fill){ .kv = kv, .model = m, .pool = pool, .end = min_u32(n, n_least) };
	kv_set_slots_present(kv, 0);
	parallel_run(topology_default_threads(), fill_parts, f);
	r = kv->book->n_slot && !f->error ? fill_slot(f) : 0;
	f->error = r < 0 ? (uint32_t)-r : f->error;
	if (f->error)
		return error_set(e, -(int)f->error,
				 "kv: memory for the first %u blocks: %s; free memory or lower --kv-bytes", f->end,
				 strerror((int)f->error));
	f->n_present = f->end;
	kv_set_present(kv, f->n_present);
	if (f->n_present == n && f->n_slot_present == kv->book->n_slot)
		return 0;
	r = -pthread_create(&f->thread, NULL, fill_main, f);
	f->is_running = r == 0;
	return r < 0 ? error_call(e, r, "pthread_create") : 0;
}

void fill_stop(struct fill *f)
{
	if (!f->is_running)
		return;
	store_relaxed(&f->is_stopping, 1);
	pthread_join(f->thread, NULL);
	f->is_running = false;
}
