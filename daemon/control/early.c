#include "daemon/control/early.h"
#include "shm/atomic.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* false: the signal that has come is to end us. */
static bool keep_hup(struct early *w)
{
	struct signalfd_siginfo s;

	if (!load_acquire(&w->keeps_hup)) /* pairs with main */
		return false;
	if (read(w->signal_fd, &s, sizeof(s)) != (ssize_t)sizeof(s) || s.ssi_signo != SIGHUP)
		return false;
	w->was_hup = true;
	return true;
}

static void *early_main(void *arg)
{
	struct early *w = arg;
	struct pollfd p[2] = { { .fd = w->ready_fd, .events = POLLIN }, { .fd = w->signal_fd, .events = POLLIN } };

	do {
		while (poll(p, 2, -1) < 0)
			;
		if (p[0].revents)
			return NULL;
	} while (keep_hup(w));
	listen_abandon(w->listener, w->n_listener);
	_exit(0);
}

int early_start(struct early *w, struct listener *l, uint32_t n, int signal_fd, struct error *e)
{
	int r;

	*w = (struct early){ .listener = l, .n_listener = n, .signal_fd = signal_fd };
	w->ready_fd = eventfd(0, EFD_CLOEXEC);
	if (w->ready_fd < 0)
		return error_call(e, -errno, "eventfd2");
	r = -pthread_create(&w->thread, NULL, early_main, w);
	if (r < 0) {
		close(w->ready_fd);
		return error_call(e, r, "pthread_create");
	}
	return 0;
}

void early_stop(struct early *w)
{
	(void)!write(w->ready_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	pthread_join(w->thread, NULL);
	close(w->ready_fd);
}
