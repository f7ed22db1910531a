/* Making, sealing and mapping the memfds of a session; the model is in region.h. */
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define SEALS_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)

static bool is_entries(uint32_t n, uint32_t max)
{
	return n && n <= max && !(n & (n - 1));
}

static uint32_t page_align(uint64_t n)
{
	return (uint32_t)((n + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1));
}

/* No sum below can pass 2^32: 4096 × 64 B + 2^28 B, and 8192 × (64 + 1024) B. */
static_assert(PAGE_BYTES + GYRE_SQ_ENTRIES_MAX * 64ull + GYRE_ARENA_BYTES_MAX < 1ull << 31, "client region");
static_assert(PAGE_BYTES + GYRE_CQ_ENTRIES_MAX * (64ull + GYRE_RESULT_SLOT_BYTES) < 1ull << 31, "daemon region");

int region_layout_init(struct region_layout *l, uint32_t sq_entries, uint32_t cq_entries, uint32_t arena_bytes)
{
	sq_entries = sq_entries ? sq_entries : GYRE_SQ_ENTRIES_DEFAULT;
	cq_entries = cq_entries ? cq_entries : GYRE_CQ_ENTRIES_DEFAULT;
	arena_bytes = arena_bytes ? arena_bytes : GYRE_ARENA_BYTES_DEFAULT;
	if (!is_entries(sq_entries, GYRE_SQ_ENTRIES_MAX) || !is_entries(cq_entries, GYRE_CQ_ENTRIES_MAX) ||
	    arena_bytes < GYRE_ARENA_BYTES_MIN || arena_bytes > GYRE_ARENA_BYTES_MAX)
		return -EINVAL;

	*l = (struct region_layout){ .sq_entries = sq_entries,
				     .cq_entries = cq_entries,
				     .arena_bytes = page_align(arena_bytes) };
	l->sqe_off = PAGE_BYTES;
	l->arena_off = l->sqe_off + page_align(sq_entries * sizeof(struct gyre_sqe));
	l->client_bytes = l->arena_off + l->arena_bytes;
	l->cqe_off = PAGE_BYTES;
	l->result_off = l->cqe_off + page_align(cq_entries * sizeof(struct gyre_cqe));
	l->daemon_bytes = l->result_off + page_align(cq_entries * (uint64_t)GYRE_RESULT_SLOT_BYTES);
	return 0;
}

/* A memfd of a size that is final. Mode 0600, since the default 0777 would let any uid reopen it through /proc. */
static int sized_memfd(const char *name, uint32_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, bytes) < 0 || fcntl(fd, F_ADD_SEALS, SEALS_SIZE) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	/* A read of the arena would else stamp its inode: 3 of the 30 us before a first token. Without it, it does. */
	(void)fcntl(fd, F_SETFL, O_NOATIME);
	return fd;
}

static int map_shared(void *addr, int fd, uint32_t bytes, int prot)
{
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*(void **)addr = p;
	return 0;
}

static int seal(int fd, int seals)
{
	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

static void publish_layout(struct abi_daemon_page *page, const struct region_layout *l)
{
	page->magic = GYRE_ABI_MAGIC;
	page->version = GYRE_ABI_VERSION;
	page->layout_hash = abi_layout_hash();
	page->sq_entries = l->sq_entries;
	page->cq_entries = l->cq_entries;
	page->sqe_off = l->sqe_off;
	page->arena_off = l->arena_off;
	page->arena_bytes = l->arena_bytes;
	page->cqe_off = l->cqe_off;
	page->result_off = l->result_off;
	page->generation = 1;
}

static int create_client(struct region *r)
{
	int res;

	r->client_fd = sized_memfd("gyre-client", r->layout.client_bytes);
	if (r->client_fd < 0)
		return r->client_fd;
	res = seal(r->client_fd, F_SEAL_SEAL);
	r->client_mapped = r->layout.arena_off;
	return res ? res : map_shared(&r->client, r->client_fd, r->client_mapped, PROT_READ);
}

/* FUTURE_WRITE must come after our own mapping, and makes it the last writable one there can be. */
static int create_daemon(struct region *r)
{
	int res;

	r->daemon_fd = sized_memfd("gyre-daemon", r->layout.daemon_bytes);
	if (r->daemon_fd < 0)
		return r->daemon_fd;
	res = map_shared(&r->daemon, r->daemon_fd, r->layout.daemon_bytes, PROT_READ | PROT_WRITE);
	return res ? res : seal(r->daemon_fd, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

int region_create(struct region *r, const struct region_layout *l)
{
	int res;

	*r = (struct region){ .layout = *l, .client_fd = -1, .daemon_fd = -1 };
	res = create_client(r);
	if (!res)
		res = create_daemon(r);
	if (res) {
		region_deinit(r);
		return res;
	}
	/* Prompts and answers are in nobody's core dump. */
	madvise(r->client, r->client_mapped, MADV_DONTDUMP);
	madvise(r->daemon, l->daemon_bytes, MADV_DONTDUMP);
	publish_layout(r->daemon, l);
	return 0;
}

/* Size and seals first: only then is a load from the mapping safe. */
static int check_fd(int fd, uint32_t *bytes)
{
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0)
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS_SIZE) != SEALS_SIZE || st.st_size < PAGE_BYTES || st.st_size >= 1ll << 31)
		return -EPROTO;
	*bytes = (uint32_t)st.st_size;
	return 0;
}

/* The layout follows from three counts; the daemon's own figures, and the sizes of the files, must agree with it. */
static int check_layout(struct region *r, uint32_t client_bytes, uint32_t daemon_bytes)
{
	const struct abi_daemon_page *page = r->daemon;
	struct region_layout l;

	if (page->magic != GYRE_ABI_MAGIC || page->version != GYRE_ABI_VERSION ||
	    page->layout_hash != abi_layout_hash())
		return -EPROTO;
	if (region_layout_init(&l, page->sq_entries, page->cq_entries, page->arena_bytes) < 0)
		return -EPROTO;
	if (l.client_bytes != client_bytes || l.daemon_bytes != daemon_bytes || page->sqe_off != l.sqe_off ||
	    page->arena_off != l.arena_off || page->cqe_off != l.cqe_off || page->result_off != l.result_off)
		return -EPROTO;
	r->layout = l;
	return 0;
}

int region_attach(struct region *r, int client_fd, int daemon_fd)
{
	uint32_t client_bytes, daemon_bytes;
	int res;

	*r = (struct region){ .client_fd = client_fd, .daemon_fd = daemon_fd };
	res = check_fd(client_fd, &client_bytes);
	if (!res)
		res = check_fd(daemon_fd, &daemon_bytes);
	if (!res) {
		r->layout.client_bytes = client_bytes;
		r->layout.daemon_bytes = daemon_bytes;
		r->client_mapped = client_bytes;
		res = map_shared(&r->client, client_fd, client_bytes, PROT_READ | PROT_WRITE);
	}
	if (!res)
		res = map_shared(&r->daemon, daemon_fd, daemon_bytes, PROT_READ);
	if (!res)
		res = check_layout(r, client_bytes, daemon_bytes);
	if (res)
		region_deinit(r);
	return res;
}

int region_read_arena(const struct region *r, uint32_t off, void *to, uint32_t n)
{
	uint64_t from = (uint64_t)r->layout.arena_off + off;

	for (uint32_t done = 0; done < n;) {
		ssize_t got = pread(r->client_fd, (uint8_t *)to + done, n - done, (off_t)(from + done));

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return -EPROTO; /* no file that we made is so short */
		done += got > 0 ? (uint32_t)got : 0;
	}
	return 0;
}

void region_deinit(struct region *r)
{
	if (r->client)
		munmap(r->client, r->client_mapped);
	if (r->daemon)
		munmap(r->daemon, r->layout.daemon_bytes);
	if (r->client_fd >= 0)
		close(r->client_fd);
	if (r->daemon_fd >= 0)
		close(r->daemon_fd);
	*r = (struct region){ .client_fd = -1, .daemon_fd = -1 };
}
