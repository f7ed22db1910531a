/*
 * The two memfds of a session: made, sized and sealed by the daemon, mapped by both sides with opposite rights.
 *
 *   client region   page | SQEs | arena            client: read+write   daemon: read; the arena by pread(2) only
 *   daemon region   page | CQEs | result slots     client: read         daemon: read+write (the only such mapping ever)
 *
 * Sizes are fixed before a descriptor leaves the daemon (SHRINK|GROW|SEAL), so a load through a valid offset can't fault.
 * A client may still punch holes into its own region: those read as zeroes, because the pages are never hugetlb.
 *
 * A load from a hole takes a page, on the reader's account: a client that names untouched memory would fill the daemon's. So the
 * daemon has no mapping of the arena, and reads it with a call that takes none. Page and SQEs are mapped, since they are polled.
 */
#ifndef GYRE_SHM_REGION_H
#define GYRE_SHM_REGION_H

#include "shm/abi.h"

#include <stddef.h>

struct region_layout {
	uint32_t sq_entries, cq_entries, arena_bytes;
	uint32_t sqe_off, arena_off, client_bytes;  /* client region */
	uint32_t cqe_off, result_off, daemon_bytes; /* daemon region */
};

struct region {
	struct region_layout layout; /* private copy: checked once, never read from shared memory again */
	int client_fd, daemon_fd;    /* -1: closed */
	uint32_t client_mapped;      /* bytes of the client region: all, or those before the arena */
	struct abi_client_page
		*client; /* the daemon's mapping is PROT_READ: a store there is a SIGSEGV, which is wanted */
	struct abi_daemon_page *daemon; /* the client's mapping is PROT_READ */
};

/*
 * Where everything lies for these counts; 0 takes the default of abi.h. -EINVAL: not a power of two, or out of range.
 * arena_bytes is rounded up to pages.
 */
int region_layout_init(struct region_layout *l, uint32_t sq_entries, uint32_t cq_entries, uint32_t arena_bytes);

/* Daemon: make, seal and map both regions and fill the first line of the daemon page. -errno; then *r is as after region_deinit. */
int region_create(struct region *r, const struct region_layout *l);

/*
 * Client: map the regions behind two received descriptors (taken over in every case). -EPROTO: their sizes, seals, magic,
 * hash or geometry are not those of a daemon of this layout.
 */
int region_attach(struct region *r, int client_fd, int daemon_fd);

/*
 * Daemon: copies [off, off + n) of the arena, which the caller has checked to lie inside. Each byte is read once; holes give zeroes
 * and stay holes. 0 or -errno.
 */
int region_read_arena(const struct region *r, uint32_t off, void *to, uint32_t n);

/* Daemon: the bytes that a session of this layout may take, of its memory and the client's. */
static inline uint64_t region_bytes(const struct region_layout *l)
{
	return (uint64_t)l->client_bytes + l->daemon_bytes;
}

/* Unmap and close. Accepts a half-built region. */
void region_deinit(struct region *r);

static inline struct gyre_sqe *region_sqe(const struct region *r)
{
	return (struct gyre_sqe *)((uint8_t *)r->client + r->layout.sqe_off);
}

/* The client's: the daemon reads it with region_read_arena. */
static inline uint8_t *region_arena(const struct region *r)
{
	return (uint8_t *)r->client + r->layout.arena_off;
}

static inline struct gyre_cqe *region_cqe(const struct region *r)
{
	return (struct gyre_cqe *)((uint8_t *)r->daemon + r->layout.cqe_off);
}

/* The result slot of completion `counter`. */
static inline uint8_t *region_result(const struct region *r, uint32_t counter)
{
	return (uint8_t *)r->daemon + r->layout.result_off +
	       (size_t)(counter & (r->layout.cq_entries - 1)) * GYRE_RESULT_SLOT_BYTES;
}

#endif
