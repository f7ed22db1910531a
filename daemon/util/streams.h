/* A program that is started with a standard stream closed would give its number to the next file it opens, and print there. */
#ifndef GYRE_DAEMON_UTIL_STREAMS_H
#define GYRE_DAEMON_UTIL_STREAMS_H

#include <fcntl.h>
#include <unistd.h>

/* Before anything else is opened. Printing to what was closed still fails, and reading it is at its end. */
static inline void streams_open(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

#endif
