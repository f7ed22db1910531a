#include "daemon/util/placement.h"

#include "daemon/util/minmax.h"
#include "daemon/util/readfile.h"

#include <errno.h>
#include <limits.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_BITS 1024
#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)
#define BATCH     512 /* pages asked about in one call */

int placement_bind(void *base, size_t bytes, int os_node)
{
	unsigned long mask[NODE_BITS / WORD_BITS] = { 0 };

	if (os_node < 0 || os_node >= NODE_BITS)
		return -EINVAL;
	mask[(size_t)os_node / WORD_BITS] = 1ul << ((size_t)os_node % WORD_BITS);
	/* The kernel reads one bit less than it is told (mbind(2), BUGS). */
	return mbind(base, bytes, MPOL_BIND, mask, NODE_BITS, MPOL_MF_STRICT) ? -errno : 0;
}

void placement_prefer(int os_node)
{
	unsigned long mask[NODE_BITS / WORD_BITS] = { 0 };

	if (os_node < 0 || os_node >= NODE_BITS) {
		(void)set_mempolicy(MPOL_DEFAULT, NULL, 0);
		return;
	}
	mask[(size_t)os_node / WORD_BITS] = 1ul << ((size_t)os_node % WORD_BITS);
	(void)set_mempolicy(MPOL_PREFERRED, mask, NODE_BITS);
}

int placement_count(const void *base, size_t bytes, size_t page_bytes, int os_node, size_t *n_page, size_t *n_there)
{
	size_t n = (bytes + page_bytes - 1) / page_bytes;

	*n_page = *n_there = 0;
	for (size_t at = 0; at < n; at += BATCH) {
		size_t n_now = min_size(BATCH, n - at);
		void *page[BATCH];
		int status[BATCH];

		for (size_t i = 0; i < n_now; i++)
			page[i] = (uint8_t *)(uintptr_t)base + (at + i) * page_bytes;
		if (move_pages(0, n_now, page, NULL, status, 0) < 0)
			return -errno;
		for (size_t i = 0; i < n_now; i++) {
			*n_page += status[i] >= 0;
			*n_there += status[i] == os_node;
		}
	}
	return 0;
}

/* "Node 0 MemFree:        1234 kB" */
static uint64_t field_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

size_t placement_available(const char *root, int os_node)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", os_node);
	if (readfile_str(text, sizeof(text), root, path))
		return SIZE_MAX;
	return (size_t)(field_kib(text, "MemFree:") + field_kib(text, "Active(file):") +
			field_kib(text, "Inactive(file):")) *
	       1024;
}
