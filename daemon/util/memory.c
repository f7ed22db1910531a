#include "daemon/util/memory.h"

#include "daemon/util/minmax.h"
#include "daemon/util/readfile.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define CACHE_LINE ((size_t)64)
#define HUGE_PAGE  ((size_t)2 << 20)

void *memory_array(size_t n, size_t bytes)
{
	size_t all, align;
	void *p;

	if (__builtin_mul_overflow(n, bytes, &all) || all > SIZE_MAX - HUGE_PAGE)
		return NULL;
	/* Page by page, a first touch costs ten times as much as clearing the memory. */
	align = all >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
	/* Not aligned_alloc: it wants a size that is a multiple of the alignment. */
	if (posix_memalign(&p, align, all ? all : CACHE_LINE))
		return NULL;
	if (align == HUGE_PAGE)
		madvise(p, all / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
	return memset(p, 0, all);
}

void *memory_undumped(size_t n, size_t bytes)
{
	size_t all;
	void *p;

	if (__builtin_mul_overflow(n, bytes, &all))
		return NULL;
	p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, all, MADV_DONTDUMP);
	return p;
}

void memory_undumped_free(void *p, size_t n, size_t bytes)
{
	if (p)
		munmap(p, n * bytes);
}

/* The bytes that a limit leaves, `used` pages of it being taken. */
static size_t limit_room(__rlimit_resource_t resource, size_t used)
{
	struct rlimit l;

	if (getrlimit(resource, &l) < 0 || l.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	used *= (size_t)sysconf(_SC_PAGESIZE);
	return l.rlim_cur > used ? l.rlim_cur - used : 0;
}

size_t memory_address_room(void)
{
	size_t all, data;
	char text[128];

	if (readfile_str(text, sizeof(text), "", "/proc/self/statm") ||
	    sscanf(text, "%zu %*u %*u %*u %*u %zu", &all, &data) != 2)
		return SIZE_MAX;
	return min_size(limit_room(RLIMIT_AS, all), limit_room(RLIMIT_DATA, data));
}
