#include "daemon/control/signals.h"

#include "daemon/util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int handler_fd = -1;
static sigset_t mine;

/* A pipe takes so few bytes whole or not at all; when it is full the daemon has been told more than twice. */
static void tell(int number)
{
	const struct signalfd_siginfo s = { .ssi_signo = (uint32_t)number };
	int saved_errno = errno;

	(void)!write(handler_fd, &s, sizeof(s));
	errno = saved_errno;
}

/* Who ignores a signal for us means it: nohup, or a shell without job control that starts us with &. */
static void add_unless_ignored(sigset_t *set, int number)
{
	struct sigaction old;

	if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaddset(set, number);
}

/* Any thread may run the handler: it only writes. */
static int open_pipe(const sigset_t *set, struct error *e)
{
	struct sigaction a = { .sa_handler = tell, .sa_flags = SA_RESTART };
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return error_call(e, -errno, "pipe2");
	(void)fcntl(fd[1], F_SETFL, O_NONBLOCK);
	handler_fd = fd[1];
	for (int number = 1; number < NSIG; number++)
		if (sigismember(set, number) == 1 && sigaction(number, &a, NULL) < 0)
			return error_call(e, -errno, "sigaction");
	pthread_sigmask(SIG_UNBLOCK, set, NULL);
	return fd[0];
}

int signals_open(struct error *e)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&mine);
	sigaddset(&mine, SIGTERM);
	sigaddset(&mine, SIGXCPU); /* five seconds before SIGKILL: time enough for an orderly end */
	add_unless_ignored(&mine, SIGINT);
	add_unless_ignored(&mine, SIGHUP);
	/* Before any thread is made, so that all inherit it. */
	pthread_sigmask(SIG_BLOCK, &mine, NULL);
	fd = signalfd(-1, &mine, SFD_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == EMFILE || errno == ENFILE)
		return error_call(e, -errno, "signalfd4");
	log_info("signals: by a handler (signalfd4: %s)", strerror(errno));
	return open_pipe(&mine, e);
}

void signals_surrender(void)
{
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&mine, number) == 1)
			signal(number, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &mine, NULL);
}
