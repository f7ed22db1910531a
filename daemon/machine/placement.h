/*
 * Memory on a node of the kernel's choosing or of ours: the only file that asks libnuma. os_node is the kernel's number of a node.
 */
#ifndef GYRE_DAEMON_MACHINE_PLACEMENT_H
#define GYRE_DAEMON_MACHINE_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

/* Pages of [base, base + bytes) that are not there yet will come from os_node or not at all. 0 or -errno: -EPERM where a
 * sandbox forbids it, -EINVAL where the cpuset does not have the node. */
int placement_bind(void *base, size_t bytes, int os_node);

/* This thread's new pages come from os_node as long as it has free ones; -1: from the node where the thread runs. A kernel that refuses
 * changes nothing but a little speed. */
void placement_prefer(int os_node);

/* *n_page: pages of page_bytes that are present in the range; *n_there: those of them on os_node. 0 or -errno. */
int placement_count(const void *base, size_t bytes, size_t page_bytes, int os_node, size_t *n_page, size_t *n_there);

/* Bytes that a node could give: free, or holding files that the kernel can read again; -1: that the machine could. No more than the
 * cgroup still grants. SIZE_MAX: not known. */
size_t placement_available(const char *root, int os_node);

#endif
