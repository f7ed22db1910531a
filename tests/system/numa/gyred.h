/* gyred as a child of the guest's tests, in the current folder: its options as words, its log as text, its stream as bits. */
#ifndef GYRE_TESTS_SYSTEM_NUMA_GYRED_H
#define GYRE_TESTS_SYSTEM_NUMA_GYRED_H

#include "client/gyre.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL   "model.gguf"
#define STREAM  12 /* tokens that are compared */
#define PATIENT 60 /* seconds until an emulated machine counts as stuck */

struct token {
	int32_t id;
	float logprob;
};

static pid_t gyred_pid;
static char gyred_said[16384];

static inline void gyred_read_log(void)
{
	FILE *f = fopen("log", "r");

	gyred_said[0] = 0;
	if (!f)
		return;
	gyred_said[fread(gyred_said, 1, sizeof(gyred_said) - 1, f)] = 0;
	fclose(f);
}

/* A program of the current folder with argv[0..n) and then options, words between blanks; before: runs in the child first, or NULL. */
static inline void gyred_spawn(char *argv[32], int n, const char *options, void (*before)(void))
{
	char words[512];
	int log = open("log", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	snprintf(words, sizeof(words), "%s", options);
	for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	gyred_pid = fork();
	if (gyred_pid) {
		close(log);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(log, 1);
	dup2(log, 2);
	if (before)
		before();
	execv(argv[0], argv);
	_exit(127);
}

static inline void gyred_start(const char *options, void (*before)(void))
{
	char *argv[32] = { (char *)"./gyred", (char *)"--model", (char *)MODEL, (char *)"--socket", (char *)"socket" };

	gyred_spawn(argv, 5, options, before);
}

/* Until it ends by itself: its exit status; -1: it did not within PATIENT, or was killed. */
static inline int gyred_wait(void)
{
	int status;
	pid_t pid = 0;

	for (int i = 0; i < PATIENT * 50 && !pid; i++) {
		pid = waitpid(gyred_pid, &status, WNOHANG);
		usleep(20000);
	}
	gyred_read_log();
	if (pid == gyred_pid) {
		gyred_pid = 0;
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	return -1;
}

static inline int gyred_stop(void)
{
	kill(gyred_pid, SIGTERM);
	return gyred_wait();
}

/* Teardown of each test: a failed one leaves it running. */
static inline int gyred_kill(void **state)
{
	(void)state;
	if (gyred_pid > 0) {
		kill(gyred_pid, SIGKILL);
		waitpid(gyred_pid, NULL, 0);
	}
	gyred_pid = 0;
	return 0;
}

static inline struct gyre *gyred_connect(void)
{
	struct gyre_params p = { .connect_timeout_ms = PATIENT * 1000 };
	struct gyre *g = NULL;
	int r = -1;

	for (int i = 0; i < PATIENT * 50 && r < 0; i++) {
		r = gyre_connect(&g, "./socket", &p);
		if (r < 0 && waitpid(gyred_pid, NULL, WNOHANG) == gyred_pid) {
			gyred_pid = 0;
			break;
		}
		if (r < 0)
			usleep(20000);
	}
	gyred_read_log();
	if (r < 0)
		fail_msg("gyred does not serve (%d); it said:\n%s", r, gyred_said);
	return g;
}

/* Its answer to one prompt, always the same. */
static inline void gyred_stream(struct token out[STREAM])
{
	static const char prompt[] = "Two nodes, one answer: what is the sum?";
	struct gyre *g = gyred_connect();
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const struct gyre_cqe *cqe;
	int n = 0;

	assert_int_equal(gyre_prep_generate(g, sqe, prompt, strlen(prompt), STREAM), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_true(gyre_submit(g) >= 0);
	for (bool is_more = true; is_more;) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, PATIENT * 1000000000ull), 0);
		assert_true(cqe->res >= 0);
		is_more = cqe->flags & GYRE_CQE_MORE;
		if (is_more && cqe->token >= 0 && n < STREAM)
			out[n++] = (struct token){ cqe->token, cqe->logprob };
		gyre_cqe_seen(g, cqe);
	}
	gyre_close(g);
	assert_int_equal(n, STREAM);
}

#endif
