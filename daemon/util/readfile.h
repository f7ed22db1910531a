/*
 * Whole reads. Small text files of /proc and /sys lie below a root, so that tests replay machines nobody here has: root "" is this
 * machine.
 */
#ifndef GYRE_DAEMON_UTIL_READFILE_H
#define GYRE_DAEMON_UTIL_READFILE_H

#include <stddef.h>
#include <stdint.h>

/* Reads n bytes from offset on; *got is less only where the file ends. 0 or -errno. */
int readfile_at(int fd, void *buf, size_t n, uint64_t offset, size_t *got);

/* Reads root/path into buf, NUL-terminated, the last newline taken off. -errno; -EFBIG when it does not fit. */
int readfile_str(char *buf, size_t n, const char *root, const char *path);

/* Reads one unsigned decimal number. -EINVAL when the file holds anything else. */
int readfile_u64(uint64_t *v, const char *root, const char *path);

/* Bytes of "NAME   1234 kB" in the text of a meminfo, whatever stands before it on the line; name with its colon. 0: no such
 * line. */
uint64_t readfile_meminfo(const char *text, const char *name);

#endif
