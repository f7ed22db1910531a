/* Stops one thread of the real gyred, as a page that does not come or a host that starves it would. */
#ifndef GYRE_TESTS_SYSTEM_STOP_H
#define GYRE_TESTS_SYSTEM_STOP_H

#include "tests/system/tinyd.h"

#include <dirent.h>
#include <sys/ptrace.h>

static inline bool stop_has_name(const struct tinyd *d, pid_t tid, const char *name)
{
	char path[64], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)d->pid, (int)tid);
	f = fopen(path, "r");
	if (f) {
		(void)!fgets(comm, sizeof(comm), f);
		fclose(f);
	}
	comm[strcspn(comm, "\n")] = 0;
	return !strcmp(comm, name);
}

/* The thread called `name` that is not the first. A thread is born with the first one's name: until there is but one, one of them has not
 * run yet. */
static inline pid_t stop_find(const struct tinyd *d, const char *name)
{
	char path[64];
	pid_t found = 0;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)d->pid);
	for (int i = 0; i < 60000 && n != 1; i++) {
		struct dirent *e;
		DIR *dir = opendir(path);

		assert_non_null(dir);
		for (n = 0; (e = readdir(dir));) {
			pid_t tid = atoi(e->d_name);

			if (tid <= 0 || tid == d->pid || !stop_has_name(d, tid, name))
				continue;
			found = tid;
			n++;
		}
		closedir(dir);
		usleep(n != 1 ? 1000 : 0);
	}
	assert_int_equal(n, 1);
	return found;
}

/* Are gyred's own threads all that have its name? Says why not. */
static inline bool stop_is_possible(void)
{
#ifdef __SANITIZE_THREAD__
	puts("skip: ThreadSanitizer has a thread of its own in gyred");
	return false;
#else
	return true;
#endif
}

/* By ptrace: until PTRACE_DETACH. false: that is forbidden here. */
static inline bool stop_begin(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return false;
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, &status, __WALL), tid);
	return true;
}

#endif
