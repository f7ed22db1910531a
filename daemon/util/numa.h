/*
 * Memory on a node of the kernel's choosing or of ours: the only file that asks libnuma. os_node is the kernel's number of a node.
 */
#ifndef GYRE_DAEMON_UTIL_NUMA_H
#define GYRE_DAEMON_UTIL_NUMA_H

#include <stddef.h>
#include <stdint.h>

/* Pages of [base, base + bytes) that are not there yet will come from os_node or not at all. 0 or -errno: -EPERM where a
 * sandbox forbids it, -EINVAL where the cpuset does not have the node. */
int numa_bind_range(void *base, size_t bytes, int os_node);

/* How many of the pages of page_bytes in the range there are, and how many of them lie on os_node. 0 or -errno. */
int numa_count_pages(const void *base, size_t bytes, size_t page_bytes, int os_node, size_t *n_page, size_t *n_there);

/* Bytes that a node could give: free, or holding files that the kernel can read again. SIZE_MAX: not known. */
size_t numa_available(const char *root, int os_node);

#endif
