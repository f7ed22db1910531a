#include "daemon/config/check.h"
#include "daemon/control/early.h"
#include "daemon/control/host.h"
#include "daemon/control/refuse.h"
#include "daemon/control/reload.h"
#include "daemon/control/service.h"
#include "daemon/control/signals.h"
#include "daemon/daemon.h"
#include "daemon/machine/busy.h"
#include "daemon/util/log.h"
#include "daemon/util/streams.h"
#include "shm/atomic.h"
#include "shm/clock.h"
#include "shm/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HELP_MIN 80u /* columns of --help */
#define HELP_MAX 100u

enum { REQUESTS, METRICS, N_LISTENER }; /* the sockets */

/* Whatever may say a word, and so wait for whoever reads it, does it here: the control loop of a host without io_uring does. */
static int load(struct daemon *d, struct control **control, const struct config *c, struct early *w, struct error *e)
{
	int r = control_open(control, w->listener[REQUESTS].fd, w->signal_fd, e);

	if (r == 0)
		r = daemon_open(d, c, e);
	early_stop(w);
	return r;
}

/* What the host did beside us while we loaded. */
static void say_busy(const struct busy *from)
{
	struct busy to;
	char text[256];

	if (from->all && busy_read(&to, "") && busy_explain(from, &to, text, sizeof(text)))
		log_warn("busy host: %s; leave gyred cores of its own (AllowedCPUs=, docker --cpuset-cpus) or lower "
			 "--threads",
			 text);
}

/* Loads, and serves until a signal; "ready" is said when nothing is left that could keep a request from being served. */
static int run(const struct config *c, struct early *w, struct reload *reload, struct error *e)
{
	static struct daemon d;
	struct busy before;
	uint64_t begin = clock_ns();
	struct control *control = NULL;
	int r = host_check(e);

	(void)busy_read(&before, "");
	if (r == 0)
		r = load(&d, &control, c, w, e);
	if (r == 0) {
		r = daemon_start(&d);
		if (r < 0) {
			error_set(e, r, "cannot start a leader thread: %s; raise ulimit -u or lower --replicas",
				  strerror(-r));
		} else {
			struct control_parts parts = daemon_parts(&d);

			reload->is_asked = w->was_hup;
			parts.reload = c->n_paths ? reload : NULL;
			parts.metrics_fd = w->listener[METRICS].fd;
			say_busy(&before);
			parts.is_confined = c->seccomp;
			for (uint32_t i = 0; i < N_LISTENER; i++)
				parts.path[i] = w->listener[i].ino ? w->listener[i].at.sun_path : NULL;
			log_info("ready in %llu ms on %s", (unsigned long long)((clock_ns() - begin) / 1000000),
				 w->listener[REQUESTS].at.sun_path);
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

/* Anybody may read them; a connection is accepted by a thread that must not wait for one that has gone. */
static int open_metrics(struct listener *l, const struct config *c, struct error *e)
{
	const struct listen_access access = { .mode = 0666, .group = (gid_t)-1, .type = SOCK_STREAM };
	struct error why;
	int r;

	if (!*c->metrics_socket)
		return 0;
	r = listen_open(l, c->metrics_socket, &access, &why);
	if (r < 0)
		return error_set(e, r, "metrics-socket: %s", why.text);
	return fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0 ? error_call(e, -errno, "fcntl") : 0;
}

static int serve(const struct config *c, struct early *w, struct reload *reload, struct error *e)
{
	int r = open_listener(&w->listener[REQUESTS], c, e); /* first: it fails fast */

	if (r == 0)
		r = open_metrics(&w->listener[METRICS], c, e);
	if (r == 0)
		r = run(c, w, reload, e);
	if (r < 0 && w->listener[REQUESTS].fd >= 0)
		refuse_waiting(w->listener[REQUESTS].fd, e->text);
	listen_close(&w->listener[METRICS]);
	listen_close(&w->listener[REQUESTS]);
	return r;
}

/* A signal that comes from here on finds somebody who knows what there is to remove. */
static int watch_signals(struct early *w, struct error *e)
{
	static struct listener l[N_LISTENER] = { { .fd = -1 }, { .fd = -1 } };
	int signal_fd = signals_open(e);

	return signal_fd < 0 ? signal_fd : early_start(w, l, N_LISTENER, signal_fd, e);
}

static int fail(const struct error *e, int code)
{
	log_error("%s", e->text);
	return code;
}

/* Of --help: what a person can read at once. */
static uint32_t terminal_width(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col < HELP_MIN)
		return HELP_MIN;
	return w.ws_col < HELP_MAX ? w.ws_col : HELP_MAX;
}

static int print(const struct config *c, struct error *e)
{
	if (config_print(stdout, c->print) == 0)
		return 0;
	error_set(e, -EINVAL, "print: '%s' is none of bash, zsh, fish, keys, options", c->print);
	return fail(e, 2);
}

/* A mistake that is found before anybody listens: who waits at the service manager's socket is told. */
static int fail_early(const struct error *e, int code)
{
	struct error none;
	int fd = service_take_socket(&none);

	if (fd >= 0)
		refuse_waiting(fd, e->text);
	return fail(e, code);
}

int main(int argc, char **argv)
{
	struct error e = { "" };
	struct early early;
	struct reload reload = { .argc = argc, .argv = argv };
	struct config c;
	bool is_check;
	int r;

	streams_open();
	if (watch_signals(&early, &e) < 0)
		return fail(&e, 1);
	r = config_parse(&c, argc, argv, &e);
	if (r == CONFIG_HELP) {
		config_print_help(stdout, terminal_width());
		return 0;
	}
	if (r == CONFIG_PRINT)
		return print(&c, &e);
	if (r == CONFIG_VERSION) {
		puts("gyred " GYRE_VERSION);
		return 0;
	}
	is_check = r == CONFIG_CHECK;
	if (r >= 0)
		r = check_config(&c, &e);
	if (r == 0)
		r = check_memory(&c, "", &e);
	if (r < 0)
		return fail_early(&e, 2);
	store_release(&early.keeps_hup, c.n_paths > 0); /* pairs with keep_hup */
	if (check_files(&c, getenv("LISTEN_FDS"), &e) < 0)
		return fail_early(&e, 1);
	if (is_check)
		return 0;
	host_limits(c.core_dumps);
	reload.listener = early.listener;
	return serve(&c, &early, &reload, &e) < 0 ? fail(&e, 1) : 0;
}
