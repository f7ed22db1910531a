#include "daemon/machine/thread.h"

#include "daemon/util/readfile.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

/* The kernel's number of a thread, by the number of its CPU clock: that is what clock_gettime takes for a thread, (~tid << 3) and three bits
 * that say which of its clocks. No other call tells it of a thread that is not the caller; 0: there is none. */
static pid_t number_of(pthread_t thread)
{
	clockid_t clock;

	return pthread_getcpuclockid(thread, &clock) ? 0 : (pid_t) ~(clock >> 3);
}

char thread_state(const char *root, pthread_t thread)
{
	char path[64], text[1024], *end;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)number_of(thread));
	if (readfile_str(text, sizeof(text), root, path) < 0)
		return 0;
	end = strrchr(text, ')'); /* a name may hold any byte */
	return end && end[1] == ' ' ? end[2] : 0;
}
