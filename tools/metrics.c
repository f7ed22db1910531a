/* `gyre metrics`: a daemon's metrics on stdout, or in a file that node_exporter's textfile collector reads. */
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define METRICS_BYTES 400000u
#define NAME          "gyre.prom"

static int fail_file(const char *path, int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	unlink(path);
	return fail(TOOL_FAILED, "--textfile: %s: %s", path, strerror(saved));
}

/* Beside its place, and then there: who reads sees the old or the new one. The collector takes no name without .prom. */
static int write_file(const char *dir, const char *text, size_t n)
{
	char path[PATH_MAX], new[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/" NAME, dir) >= (int)sizeof(path) ||
	    snprintf(new, sizeof(new), "%s/." NAME ".%d", dir, (int)getpid()) >= (int)sizeof(new))
		return fail(TOOL_USAGE, "--textfile: %s: the name is too long", dir);
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return fail(TOOL_FAILED, "--textfile: %s: %s; name a directory you may write to", new, strerror(errno));
	while (n) {
		ssize_t done = write(fd, text, n);

		if (done < 0)
			return fail_file(new, fd);
		text += done;
		n -= (size_t)done;
	}
	if (fchmod(fd, 0644) < 0 || close(fd) < 0)
		return fail_file(new, -1);
	return rename(new, path) < 0 ? fail_file(new, -1) : TOOL_OK;
}

int metrics_main(const struct args *a)
{
	char *text = malloc(METRICS_BYTES + 1);
	ssize_t n = text ? gyre_query(a->socket, ABI_QUERY_METRICS, NULL, 0, text, METRICS_BYTES) : -ENOMEM;
	int code = TOOL_OK;

	if (n < 0) {
		code = link_refuse(a, (int)n, text ? text : "");
	} else {
		strcpy(text + n, "\n"); /* which an answer is without */
		if (a->textfile)
			code = write_file(a->textfile, text, (size_t)n + 1);
		else
			fwrite(text, 1, (size_t)n + 1, stdout);
	}
	free(text);
	return code;
}
