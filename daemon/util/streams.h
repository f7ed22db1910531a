/* A program that is started with a standard stream closed would give its number to the next file it opens, and print there. */
#ifndef GYRE_DAEMON_UTIL_STREAMS_H
#define GYRE_DAEMON_UTIL_STREAMS_H

#include <fcntl.h>
#include <unistd.h>

/* Before anything else is opened. Printing to what was closed still fails, and reading it is at its end. */
static inline void streams_open(void)
{
	int fd, end[2];

	do {
		fd = open("/dev/null", O_RDONLY);
		if (fd < 0 && pipe(end) == 0) { /* a root without devices: the end that is read does as well */
			fd = end[0];
			close(end[1]);
		}
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

#endif
