#include "daemon/control.h"
#include "daemon/listen.h"
#include "daemon/util/log.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* Before any thread is made, so that all inherit it. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* A session takes four descriptors; the customary soft limit of 1024 is less than all sessions together. */
static void raise_file_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static int serve(const struct config *c, int signal_fd, struct error *e)
{
	static struct daemon d;
	uint64_t begin = doorbell_now_ns();
	int listen_fd, r;

	listen_fd = listen_open(c->socket, e); /* first: it fails fast */
	if (listen_fd < 0)
		return listen_fd;
	r = daemon_open(&d, c, e);
	if (r == 0) {
		r = daemon_start(&d);
		if (r < 0)
			error_set(e, r, "leader thread: %s", strerror(-r));
	}
	if (r == 0) {
		log_info("ready in %llu ms on %s", (unsigned long long)((doorbell_now_ns() - begin) / 1000000),
			 c->socket);
		r = control_run(&d, listen_fd, signal_fd, e);
		daemon_stop(&d);
		daemon_close(&d);
	}
	unlink(c->socket);
	close(listen_fd);
	return r;
}

int main(int argc, char **argv)
{
	struct error e = { "" };
	struct config c;
	int r = config_parse(&c, argc, argv, &e);

	if (r == CONFIG_HELP) {
		config_print_help(stdout);
		return 0;
	}
	if (r == CONFIG_VERSION) {
		puts("gyred " GYRE_VERSION);
		return 0;
	}
	if (r < 0) {
		log_error("%s", e.text);
		return 2;
	}
	raise_file_limit();
	r = serve(&c, block_signals(), &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 1;
	}
	return 0;
}
