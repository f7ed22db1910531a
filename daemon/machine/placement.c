#include "daemon/machine/placement.h"

#include "daemon/machine/cgroup.h"
#include "daemon/util/minmax.h"
#include "daemon/machine/numa.h"
#include "daemon/util/readfile.h"

#include <errno.h>
#include <limits.h>
#include <numaif.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_BITS NUMA_NODE_MAX
#define MAX_NODE  (NODE_BITS + 1) /* as mbind(2) is told: it reads one bit less than that (BUGS) */
#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)
#define BATCH     512 /* pages asked about in one call */

struct node_mask {
	unsigned long word[NODE_BITS / WORD_BITS];
};

static bool is_node(int os_node)
{
	return os_node >= 0 && os_node < NODE_BITS;
}

static struct node_mask mask_of(int os_node)
{
	struct node_mask m = { { 0 } };

	m.word[(size_t)os_node / WORD_BITS] = 1ul << ((size_t)os_node % WORD_BITS);
	return m;
}

int placement_bind(void *base, size_t bytes, int os_node)
{
	if (!is_node(os_node))
		return -EINVAL;
	return mbind(base, bytes, MPOL_BIND, mask_of(os_node).word, MAX_NODE, MPOL_MF_STRICT) ? -errno : 0;
}

void placement_prefer(int os_node)
{
	if (is_node(os_node))
		(void)set_mempolicy(MPOL_PREFERRED, mask_of(os_node).word, MAX_NODE);
	else
		(void)set_mempolicy(MPOL_DEFAULT, NULL, 0);
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

static size_t node_available(const char *root, int os_node)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), os_node < 0 ? "/proc/meminfo" : "/sys/devices/system/node/node%d/meminfo",
		 os_node);
	if (readfile_str(text, sizeof(text), root, path) || (os_node < 0 && !strstr(text, "MemAvailable:")))
		return SIZE_MAX;
	if (os_node < 0)
		return readfile_meminfo(text, "MemAvailable:");
	return readfile_meminfo(text, "MemFree:") + readfile_meminfo(text, "Active(file):") +
	       readfile_meminfo(text, "Inactive(file):");
}

size_t placement_available(const char *root, int os_node)
{
	return min_size(node_available(root, os_node), cgroup_memory(root));
}
