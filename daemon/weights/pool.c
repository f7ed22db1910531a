/*
 * See pool.h. A kind that cannot be had is found out by trying it: the counters of free pages are stale when read, and
 * MADV_POPULATE_WRITE reports the page that is missing as an error, where a touch would be a SIGBUS. Kernels before 5.14, and
 * containers that forbid madvise, have pages touched one by one: by the kernel where one may be missing, since read(2) into it
 * fails with EFAULT then.
 */
#include "daemon/weights/pool.h"

#include "daemon/util/cleanup.h"
#include "daemon/util/log.h"
#include "daemon/util/parallel.h"
#include "daemon/machine/placement.h"
#include "daemon/util/readfile.h"
#include "daemon/machine/topology.h"
#include "shm/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB     ((size_t)1 << 20)
#define THP_DIR "/sys/kernel/mm/transparent_hugepage/"

#define POPULATE_PIECE (32 * MIB) /* a thread's turn: whole pages of all kinds but 1 GiB, which the kernel sorts out */

static const struct {
	const char *name;
	size_t page;
	int memfd_flags; /* -1: no memfd */
} kind_table[POOL_KIND_MAX] = {
	[POOL_NONE] = { "nothing", 1, -1 },
	[POOL_HUGE_1G] = { "1 GiB huge pages", 1024 * MIB, MFD_HUGETLB | MFD_HUGE_1GB },
	[POOL_HUGE_2M] = { "2 MiB huge pages", 2 * MIB, MFD_HUGETLB | MFD_HUGE_2MB },
	[POOL_THP_MEMFD] = { "transparent huge pages", 2 * MIB, 0 },
	[POOL_THP_ANON] = { "transparent huge pages (anonymous)", 2 * MIB, -1 },
	[POOL_4K] = { "4 KiB pages", 4096, 0 },
};

const char *pool_kind_name(enum pool_kind kind)
{
	return (unsigned int)kind < POOL_KIND_MAX ? kind_table[kind].name : "?";
}

enum pool_kind pool_kind_least(const struct pool *p, uint32_t n)
{
	enum pool_kind kind = POOL_NONE;

	for (uint32_t i = 0; i < n; i++)
		kind = p[i].kind > kind ? p[i].kind : kind;
	return kind;
}

/* The selected word of a transparent_hugepage switch is the one in brackets. */
static bool thp_is_any(const char *file, const char *const *words)
{
	char buf[128];

	if (readfile_str(buf, sizeof(buf), "", file))
		return false;
	for (; *words; words++)
		if (strstr(buf, *words))
			return true;
	return false;
}

/* Since Linux 6.10 the switch per size rules, and "inherit" there points to the old one. */
static bool thp_has(const char *per_size, const char *general, const char *const *on)
{
	static const char *const inherit[] = { "[inherit]", NULL };
	char ignored[128];

	if (readfile_str(ignored, sizeof(ignored), "", per_size) || thp_is_any(per_size, inherit))
		return thp_is_any(general, on);
	return thp_is_any(per_size, on);
}

static bool has_thp_memfd(void)
{
	static const char *const on[] = { "[always]", "[within_size]", "[advise]", "[force]", NULL };

	return thp_has(THP_DIR "hugepages-2048kB/shmem_enabled", THP_DIR "shmem_enabled", on);
}

static bool has_thp_anon(void)
{
	static const char *const on[] = { "[always]", "[madvise]", NULL };

	return thp_has(THP_DIR "hugepages-2048kB/enabled", THP_DIR "enabled", on);
}

static bool kind_is_worth_trying(enum pool_kind kind, size_t bytes)
{
	switch (kind) {
	case POOL_HUGE_1G:
		return bytes >= kind_table[POOL_HUGE_1G].page; /* below, most of the page would be lost */
	case POOL_THP_MEMFD:
		return has_thp_memfd();
	case POOL_THP_ANON:
		return has_thp_anon();
	default:
		return true;
	}
}

static int open_memfd(int *fdp, const char *name, size_t bytes, int flags)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | (unsigned int)flags);

	if (fd < 0)
		return -errno;
	/* A memfd is born 0777: anyone who can see our /proc/PID/fd could open it for writing. */
	if (fchmod(fd, 0600) || ftruncate(fd, (off_t)bytes))
		return -errno;
	*fdp = steal_fd(&fd);
	return 0;
}

/* bytes of address space that start at a multiple of page; the mapping itself goes on top with MAP_FIXED. */
static uint8_t *reserve_aligned(size_t bytes, size_t page)
{
	size_t span = bytes + page;
	uint8_t *p = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return NULL;
	head = (page - (uintptr_t)p % page) % page;
	if (head)
		munmap(p, head);
	if (span - head - bytes)
		munmap(p + head + bytes, span - head - bytes);
	return p + head;
}

static bool kind_is_huge(enum pool_kind kind)
{
	return kind == POOL_HUGE_1G || kind == POOL_HUGE_2M;
}

struct populate {
	uint8_t *base;
	size_t bytes;
	bool is_huge;
	uint64_t next;  /* atomic */
	uint32_t error; /* atomic: an errno */
};

/* A write that leaves what is there: another thread may have written to the page already. */
static void touch(uint8_t *base, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += kind_table[POOL_4K].page)
		(void)fetch_add((uint32_t *)(base + at), 0);
}

static int touch_huge(uint8_t *base, size_t bytes)
{
	_cleanup_close_ int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	if (zero < 0)
		return -errno;
	for (size_t at = 0; at < bytes; at += kind_table[POOL_HUGE_2M].page)
		if (read(zero, base + at, 1) != 1)
			return -ENOMEM;
	return 0;
}

/* [base, base + bytes) present. is_huge: of hugetlb pages, which may be missing; nothing has been written there yet. */
static int make_present(uint8_t *base, size_t bytes, bool is_huge)
{
	if (!madvise(base, bytes, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != EACCES)
		return -errno;
	if (is_huge)
		return touch_huge(base, bytes);
	touch(base, bytes);
	return 0;
}

/* A piece at a time from a shared counter. */
static void populate_pieces(void *arg, int thread)
{
	struct populate *p = arg;
	size_t at;

	(void)thread;
	while (!load_relaxed(&p->error) && (at = fetch_add64(&p->next, POPULATE_PIECE)) < p->bytes) {
		size_t n = p->bytes - at < POPULATE_PIECE ? p->bytes - at : POPULATE_PIECE;

		int r = make_present(p->base + at, n, p->is_huge);

		if (r)
			store_relaxed(&p->error, (uint32_t)-r);
	}
}

/* Makes every page present, on several threads: the kernel clears them at a core's speed. */
static int populate(uint8_t *base, size_t bytes, bool is_huge)
{
	struct populate p = { .base = base, .bytes = bytes, .is_huge = is_huge };
	size_t n_piece = bytes / POPULATE_PIECE + 1;
	int n = topology_default_threads();

	parallel_run(n_piece < (size_t)n ? (int)n_piece : n, populate_pieces, &p);
	return -(int)p.error;
}

/* Hugetlb pages are populated in any case: whether they can be had shows in the attempt alone, and another kind may do. */
static int map_kind(struct pool *p, bool is_present)
{
	int flags = p->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	uint8_t *at = NULL, *base;

	if (!kind_is_huge(p->kind)) { /* the kernel aligns hugetlb mappings itself */
		at = reserve_aligned(p->bytes, kind_table[p->kind].page);
		if (!at)
			return -ENOMEM;
		flags |= MAP_FIXED;
	}
	base = mmap(at, p->bytes, PROT_READ | PROT_WRITE, flags, p->fd, 0);
	/* Where MAP_FIXED fails the range at `at` may be gone, and another thread's by now: it is not unmapped. */
	if (base == MAP_FAILED)
		return -errno;
	p->base = base;
	madvise(base, p->bytes, MADV_DONTDUMP); /* gigabytes that a file has, and what users said */
	if (p->os_node >= 0) {
		int r = placement_bind(base, p->bytes, p->os_node);

		if (r)
			return r;
	}
	if (p->kind == POOL_THP_MEMFD || p->kind == POOL_THP_ANON)
		madvise(p->base, p->bytes, MADV_HUGEPAGE);
	p->is_present = is_present || kind_is_huge(p->kind);
	return p->is_present ? populate(p->base, p->bytes, kind_is_huge(p->kind)) : 0;
}

static int try_kind(struct pool *p, enum pool_kind kind, size_t bytes, int os_node, const char *name, bool is_present)
{
	size_t page = kind_table[kind].page;
	struct pool q = { .fd = -1, .kind = kind, .os_node = os_node };
	int r = 0;

	if (__builtin_add_overflow(bytes, page - 1, &q.bytes))
		return -ENOMEM;
	q.bytes -= q.bytes % page;
	if (kind_table[kind].memfd_flags >= 0)
		r = open_memfd(&q.fd, name, q.bytes, kind_table[kind].memfd_flags);
	if (!r)
		r = map_kind(&q, is_present);
	if (r) {
		pool_unmap(&q);
		return r;
	}
	*p = q;
	return 0;
}

static size_t pages_2m(size_t bytes)
{
	return bytes / (2 * MIB) + (bytes % (2 * MIB) != 0);
}

/* The command that reserves huge pages: of the node, since vm.nr_hugepages spreads them over all. */
static const char *huge_page_fix(char text[128], size_t bytes, int os_node)
{
	if (os_node < 0)
		snprintf(text, 128, "sysctl vm.nr_hugepages=%zu", pages_2m(bytes));
	else
		snprintf(text, 128,
			 "echo %zu > /sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages",
			 pages_2m(bytes), os_node);
	return text;
}

static int refuse(size_t bytes, size_t available, int os_node, const char *name, struct error *e)
{
	char fix[128];

	huge_page_fix(fix, bytes, os_node);
	if (os_node < 0)
		return error_set(
			e, -ENOMEM,
			"pool '%s': %zu MiB wanted, %zu MiB of memory available (here and in the cgroup), too few free "
			"huge pages; use a smaller model or context, or raise the cgroup's limit, or free memory and "
			"run: "
			"%s",
			name, bytes / MIB + 1, available / MIB, fix);
	return error_set(
		e, -ENOMEM,
		"pool '%s': %zu MiB wanted on NUMA node %d, which has %zu MiB and too few free huge pages; use "
		"fewer --nodes, or free memory there and run: %s",
		name, bytes / MIB + 1, os_node, available / MIB, fix);
}

/* There is memory enough, and yet no kind of page could be had: `code` is what the last said. */
static int refuse_limit(int code, size_t bytes, const char *name, struct error *e)
{
	return error_set(e, code, "pool '%s': %zu MiB cannot be mapped: %s; %s", name, bytes / MIB + 1, strerror(-code),
			 code == -ENOMEM ? "raise ulimit -v (LimitAS=), or use a smaller model or context"
					 : error_remedy(code));
}

static int refuse_node(int code, int os_node, const char *name, struct error *e)
{
	return error_set(
		e, -EPERM,
		"pool '%s': memory cannot be bound to NUMA node %d (%s); allow mbind and the node in the container "
		"(docker: --cap-add SYS_NICE, --cpuset-mems), or run with --nodes 1",
		name, os_node, strerror(-code));
}

/* Whether memory can be bound to the node at all: what a kind's failure would not tell. */
static int try_node(int os_node)
{
	void *p;
	int r;

	if (os_node < 0)
		return 0;
	p = mmap(NULL, kind_table[POOL_4K].page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	r = placement_bind(p, kind_table[POOL_4K].page, os_node);
	munmap(p, kind_table[POOL_4K].page);
	return r;
}

void pool_relax(struct layout *l)
{
	int r = l->n_node == 1 ? try_node(l->node[0].os_node) : 0;

	if (r == 0)
		return;
	log_warn("memory cannot be bound to NUMA node %d (%s) and may lie on another, which costs speed; fix: allow "
		 "mbind and the node in the container (docker: --cap-add SYS_NICE, --cpuset-mems)",
		 l->node[0].os_node, strerror(-r));
	l->node[0].os_node = -1;
}

static uint64_t budget, n_taken; /* atomic: bytes of all pools, 0: no limit; of those there are */

void pool_set_budget(uint64_t bytes)
{
	store_relaxed64(&budget, bytes);
}

size_t pool_budget_left(void)
{
	uint64_t all = load_relaxed64(&budget), taken = load_relaxed64(&n_taken);

	return !all ? SIZE_MAX : all > taken ? all - taken : 0;
}

static int refuse_budget(size_t bytes, const char *name, struct error *e)
{
	return error_set(
		e, -ENOMEM,
		"pool '%s': %zu MiB wanted, but of the %zu MiB of memory = in the configuration %zu are taken and "
		"%zu left; raise it, unload a model (gyre ps), or make this one smaller (ctx, kv-bytes, kv-type)",
		name, bytes / MIB + 1, (size_t)load_relaxed64(&budget) / MIB, (size_t)load_relaxed64(&n_taken) / MIB,
		pool_budget_left() / MIB);
}

static int pool_make(struct pool *p, size_t bytes, int os_node, const char *name, bool is_present, struct error *e)
{
	size_t available = placement_available("", os_node); /* populating past it would wake the OOM killer */
	char fix[128];
	int r = try_node(os_node);

	if (r)
		return refuse_node(r, os_node, name, e);
	if (bytes > pool_budget_left())
		return refuse_budget(bytes, name, e);
	if (!bytes)
		bytes = 1;
	for (enum pool_kind kind = POOL_HUGE_1G; kind < POOL_KIND_MAX; kind++) {
		if (!kind_is_worth_trying(kind, bytes))
			continue;
		if (!kind_is_huge(kind) && (available < POOL_RESERVE || bytes > available - POOL_RESERVE))
			continue;
		r = try_kind(p, kind, bytes, os_node, name, is_present);
		if (r)
			continue;
		if (kind == POOL_4K)
			log_warn("pool '%s': 4 KiB pages, which cost speed; fix: %s, then restart", name,
				 huge_page_fix(fix, bytes, os_node));
		fetch_add64(&n_taken, p->bytes);
		p->is_counted = true;
		return 0;
	}
	if (r && available >= POOL_RESERVE && bytes <= available - POOL_RESERVE)
		return refuse_limit(r, bytes, name, e);
	return refuse(bytes, available, os_node, name, e);
}

int pool_map(struct pool *p, size_t bytes, int os_node, const char *name, struct error *e)
{
	return pool_make(p, bytes, os_node, name, true, e);
}

int pool_reserve(struct pool *p, size_t bytes, int os_node, const char *name, struct error *e)
{
	return pool_make(p, bytes, os_node, name, false, e);
}

int pool_suffice(const struct pool *p, uint32_t n, const char *name, struct error *e)
{
	size_t available = placement_available("", -1), bytes = POOL_RESERVE;

	for (uint32_t i = 0; i < n; i++)
		bytes += p[i].is_present ? 0 : p[i].bytes;
	return bytes <= POOL_RESERVE || bytes <= available ? 0 : refuse(bytes - POOL_RESERVE, available, -1, name, e);
}

int pool_placement(const struct pool *p, size_t *n_page, size_t *n_there)
{
	/* Where a transparent huge page could not be had its range is of small ones, which may lie anywhere. */
	size_t page = kind_is_huge(p->kind) ? kind_table[p->kind].page : kind_table[POOL_4K].page;

	if (p->os_node >= 0)
		return placement_count(p->base, p->bytes, page, p->os_node, n_page, n_there);
	*n_page = *n_there = p->bytes / page;
	return 0;
}

/* Pages are bound before they are touched; that they are there is looked at all the same. */
int pool_check(const struct pool *p, uint32_t n, const char *what, struct error *e)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t n_page, n_there;
		int r;

		if (p[i].os_node < 0)
			continue;
		r = pool_placement(&p[i], &n_page, &n_there);
		if (r < 0)
			return error_set(e, r, "%s of node %u: where the pages lie cannot be read: %s", what, i,
					 strerror(-r));
		log_info("%s of node %u: %.1f MiB on NUMA node %d in %s: %zu of %zu pages there", what, i,
			 (double)p[i].bytes / (1 << 20), p[i].os_node, pool_kind_name(p[i].kind), n_there, n_page);
		if (n_there < n_page)
			return error_set(
				e, -ENOMEM,
				"%s of node %u: %zu of %zu pages are not on NUMA node %d; free memory there or run "
				"with fewer --nodes",
				what, i, n_page - n_there, n_page, p[i].os_node);
	}
	return 0;
}

int pool_populate(const struct pool *p, const uint8_t *begin, const uint8_t *end)
{
	size_t page = kind_table[p->kind].page;
	size_t from = (size_t)(begin - p->base) / page * page;
	size_t to = ((size_t)(end - p->base) + page - 1) / page * page;

	return make_present(p->base + from, to - from, false);
}

int pool_protect(struct pool *p, struct error *e)
{
	if (mprotect(p->base, p->bytes, PROT_READ))
		return error_set(e, -errno, "cannot make a pool read-only: %s", strerror(errno));
	return 0;
}

void pool_unmap(struct pool *p)
{
	if (p->kind == POOL_NONE)
		return;
	if (p->base)
		munmap(p->base, p->bytes);
	if (p->is_counted)
		fetch_add64(&n_taken, -(uint64_t)p->bytes);
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct pool){ .fd = -1, .os_node = -1 };
}
