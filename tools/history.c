#include "tools/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COOKIE "_HiStOrY_V2_\n" /* libedit looks for it */

/* Each folder of path; those that were there keep their modes. */
static int make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = 0;
		r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

int history_path(char *path, size_t n)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len;

	if (state && *state == '/') /* a relative one is to be ignored, says the XDG base directory specification */
		len = snprintf(path, n, "%s/gyre/history", state);
	else if (home && *home == '/')
		len = snprintf(path, n, "%s/.local/state/gyre/history", home);
	else
		return -ENOENT;
	return (size_t)len >= n ? -ENAMETOOLONG : make_folders(path);
}

/* A message a line: every byte but printable ASCII, and the backslash, stands as \ooo (vis(3)). */
static void write_message(FILE *f, const char *message)
{
	for (const unsigned char *p = (const unsigned char *)message; *p; p++)
		if (*p > ' ' && *p < 0x7f && *p != '\\')
			fputc(*p, f);
		else
			fprintf(f, "\\%03o", *p);
	fputc('\n', f);
}

int history_append(const char *path, const char *message)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat s;
	FILE *f;

	if (fd < 0)
		return -errno;
	f = fchmod(fd, 0600) == 0 && fstat(fd, &s) == 0 ? fdopen(fd, "a") : NULL;
	if (!f) {
		close(fd);
		return -EIO;
	}
	if (s.st_size == 0)
		fputs(COOKIE, f);
	if (message)
		write_message(f, message);
	return fclose(f) == 0 ? 0 : -errno; /* one write, unless the message is very long */
}
