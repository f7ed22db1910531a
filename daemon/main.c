#include "daemon/config/check.h"
#include "daemon/control/host.h"
#include "daemon/control/listen.h"
#include "daemon/control/service.h"
#include "daemon/control/signals.h"
#include "daemon/daemon.h"
#include "daemon/util/log.h"
#include "daemon/util/streams.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * SIGTERM while loading: a thread waits for it, since a read from a slow disk looks at no flag. Nobody has been promised
 * anything yet, so ending is removing the socket. It only polls: what comes later is for the control loop to read.
 */
struct early {
	const struct listener *listener;
	int signal_fd, ready_fd;
	pthread_t thread;
};

static void *early_main(void *arg)
{
	const struct early *w = arg;
	struct pollfd p[2] = { { .fd = w->ready_fd, .events = POLLIN }, { .fd = w->signal_fd, .events = POLLIN } };

	while (poll(p, 2, -1) < 0)
		;
	if (p[0].revents)
		return NULL;
	listen_unlink(w->listener);
	_exit(0);
}

static int early_start(struct early *w, struct error *e)
{
	int r;

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

static void early_stop(struct early *w)
{
	(void)!write(w->ready_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	pthread_join(w->thread, NULL);
	close(w->ready_fd);
}

/* Whatever may say a word, and so wait for whoever reads it, does it here: the control loop of a host without io_uring does. */
static int load(struct daemon *d, struct control **control, const struct config *c, const struct listener *l,
		int signal_fd, struct error *e)
{
	struct early early = { .listener = l, .signal_fd = signal_fd };
	int r = early_start(&early, e);

	if (r < 0)
		return r;
	r = control_open(control, l->fd, signal_fd, e);
	if (r == 0)
		r = daemon_open(d, c, e);
	early_stop(&early);
	return r;
}

/* Loads, and serves until a signal; "ready" is said when nothing is left that could keep a request from being served. */
static int run(const struct config *c, const struct listener *l, int signal_fd, struct error *e)
{
	static struct daemon d;
	uint64_t begin = clock_ns();
	struct control *control = NULL;
	int r = host_check(e);

	if (r == 0)
		r = load(&d, &control, c, l, signal_fd, e);
	if (r == 0) {
		r = daemon_start(&d);
		if (r < 0) {
			error_set(e, r, "cannot start a leader thread: %s; raise ulimit -u or lower --replicas",
				  strerror(-r));
		} else {
			const struct control_parts parts = daemon_parts(&d);

			log_info("ready in %llu ms on %s", (unsigned long long)((clock_ns() - begin) / 1000000),
				 l->at.sun_path);
			r = control_run(control, &parts, e);
		}
		daemon_stop(&d); /* maybe some of the leaders have been started */
		daemon_close(&d);
	}
	control_close(control);
	return r;
}

/* The service manager's socket, if it has one; else our own. */
static int open_listener(struct listener *l, const struct config *c, struct error *e)
{
	struct listen_access access = { .mode = c->socket_mode, .group = (gid_t)-1 };
	int fd = service_take_socket(e);

	if (fd != -ENOENT)
		return fd < 0 ? fd : listen_adopt(l, fd, e);
	if (*c->socket_group) {
		const struct group *group = getgrnam(c->socket_group);

		if (!group)
			return error_set(e, -EINVAL, "socket-group: there is no group '%s' (getent group)",
					 c->socket_group);
		access.group = group->gr_gid;
	}
	return listen_open(l, c->socket, &access, e);
}

static int serve(const struct config *c, struct error *e)
{
	int signal_fd = signals_open(e), r;
	struct listener l;

	if (signal_fd < 0)
		return signal_fd;
	r = open_listener(&l, c, e); /* first: it fails fast */
	if (r < 0)
		return r;
	r = run(c, &l, signal_fd, e);
	listen_close(&l);
	return r;
}

int main(int argc, char **argv)
{
	struct error e = { "" };
	struct config c;
	int r;

	streams_open();
	r = config_parse(&c, argc, argv, &e);
	if (r == CONFIG_HELP) {
		config_print_help(stdout);
		return 0;
	}
	if (r == CONFIG_VERSION) {
		puts("gyred " GYRE_VERSION);
		return 0;
	}
	if (r == CONFIG_RUN)
		r = check_config(&c, "", &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 2;
	}
	host_limits(c.core_dumps);
	r = serve(&c, &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 1;
	}
	return 0;
}
