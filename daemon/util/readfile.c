/*
 * See readfile.h.
 */
#include "daemon/util/readfile.h"

#include "daemon/util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int readfile_at(int fd, void *buf, size_t n, uint64_t offset, size_t *got)
{
	for (*got = 0; *got < n;) {
		ssize_t r = pread(fd, (char *)buf + *got, n - *got, (off_t)(offset + *got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		*got += (size_t)r;
	}
	return 0;
}

int readfile_str(char *buf, size_t n, const char *root, const char *path)
{
	_cleanup_close_ int fd = -1;
	char full[PATH_MAX];
	size_t used;
	int r;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = readfile_at(fd, buf, n, 0, &used);
	if (r)
		return r;
	if (used == n)
		return -EFBIG;
	if (used && buf[used - 1] == '\n')
		used--;
	buf[used] = '\0';
	return 0;
}

int readfile_u64(uint64_t *v, const char *root, const char *path)
{
	char buf[64], *end;
	int r = readfile_str(buf, sizeof(buf), root, path);

	if (r)
		return r;
	if (buf[0] < '0' || buf[0] > '9')
		return -EINVAL;
	errno = 0;
	*v = strtoull(buf, &end, 10);
	return errno ? -errno : *end ? -EINVAL : 0;
}

uint64_t readfile_meminfo(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}
