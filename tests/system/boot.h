/* Boots the real gyred in a temporary directory and stops it again. Skips, with the reason, when there is no model. */
#ifndef GYRE_TESTS_SYSTEM_BOOT_H
#define GYRE_TESTS_SYSTEM_BOOT_H

#include "client/gyre.h"
#include "tests/util/testmodel.h"

#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct boot {
	pid_t pid;
	char dir[64], socket[96];
};

static inline pid_t boot_spawn(const char *socket, char *const *extra)
{
	char exe[PATH_MAX] = "", gyred[PATH_MAX + 16];
	char *argv[24] = {
		gyred,           (char *)"--model", (char *)testmodel_path(), (char *)"--socket", (char *)socket,
		(char *)"--ctx", (char *)"512"
	};
	int n = 7;
	pid_t pid;

	(void)!readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	snprintf(gyred, sizeof(gyred), "%s/../../gyred", dirname(exe));
	for (; extra && *extra; extra++)
		argv[n++] = *extra;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves it behind */
		execv(gyred, argv);
		_exit(127);
	}
	return pid;
}

static inline void boot_up(struct boot *b, char *const *extra)
{
	if (!testmodel_path())
		skip();
	strcpy(b->dir, "/tmp/gyre-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->socket, sizeof(b->socket), "%s/s", b->dir);
	b->pid = boot_spawn(b->socket, extra);
}

static inline struct gyre *boot_connect(const struct boot *b, const struct gyre_params *p)
{
	struct gyre_params params = p ? *p : (struct gyre_params){ 0 };
	struct gyre *g = NULL;
	int r = -1;

	params.connect_timeout_ms = 20000; /* gyred listens before it loads */
	for (int i = 0; i < 15000 && r < 0; i++) {
		r = gyre_connect(&g, b->socket, &params);
		if (r < 0)
			usleep(20000);
	}
	assert_int_equal(r, 0);
	return g;
}

/* SIGTERM; returns the exit status. */
static inline int boot_down(struct boot *b)
{
	int status = 0;

	kill(b->pid, SIGTERM);
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	unlink(b->socket);
	rmdir(b->dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
