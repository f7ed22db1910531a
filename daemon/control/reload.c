#include "daemon/control/reload.h"
#include "daemon/config/check.h"
#include "daemon/config/config.h"
#include "daemon/control/service.h"
#include "daemon/machine/placement.h"
#include "daemon/util/log.h"
#include "daemon/util/readfile.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what can change ---- */

/* Another thread may be at any of them: each looks at its session's. */
static void tell_limits(struct connections *t, const struct config *c)
{
	for (uint32_t i = 0; i < CONNECTION_MAX; i++) {
		struct connection *n = &t->at[i];
		const struct ucred peer = { .uid = n->uid, .gid = n->gid };
		struct gyre_limits limits;

		if (n->fd < 0)
			continue;
		n->quota = quota_find(c, n->fd, &peer);
		limits = quota_limits(n->quota);
		if (n->session)
			session_set_limits(n->session, &limits, n->quota->weight);
	}
}

static mode_t usual_mode(void)
{
	unsigned int mask = 0;
	char text[4096];
	const char *at;

	/* umask(2) would have to change it to tell, and the sandbox has no place for that. */
	if (readfile_str(text, sizeof(text), "", "/proc/self/status") == 0 && (at = strstr(text, "\nUmask:")))
		(void)sscanf(at, "\nUmask: %o", &mask);
	return 0777 & ~mask;
}

static void change_access(const struct listener *l, const struct config *c)
{
	const struct group *group = *c->socket_group ? getgrnam(c->socket_group) : NULL;
	const struct listen_access access = { .mode = c->socket_mode ? c->socket_mode : usual_mode(),
					      .group = group ? group->gr_gid : (gid_t)getauxval(AT_EGID) };
	int r = listen_change(l, &access);

	if (r == -ENOENT)
		log_warn("reload: the socket is the service manager's: its unit says SocketMode= and SocketGroup=");
	else if (r < 0)
		log_warn("reload: %s keeps its mode and group: %s", l->at.sun_path, strerror(-r));
}

static void apply(struct control_parts *p, struct connections *t, struct admit *a, const struct config_change *change)
{
	const struct config *c = p->config;

	p->drain_seconds = c->drain_seconds;
	for (uint32_t i = 0; i < c->n_model; i++) /* the configuration's have the first places */
		p->models->model[i].idle_seconds = c->model[i].idle_seconds;
	if (change->session_bytes)
		a->session_bytes = budget_limit(c->session_bytes, placement_available("", -1));
	if (change->access)
		change_access(p->reload->listener, c);
	intake_set_outrank(p->intake, c->outrank.n, c->outrank.uid);
	tell_limits(t, c);
}

/* ---- reading ---- */

static int read_again(struct config *new, const struct reload *r, struct error *e)
{
	int res = config_parse(new, r->argc, r->argv, e);

	if (res >= 0)
		res = check_config(new, e);
	return res < 0 ? res : check_files(new, true, e);
}

void reload_config(struct control_parts *p, struct connections *connections, struct admit *admit)
{
	static struct config new; /* too large for a stack */
	struct config_change change = { .say = log_info, .warn = log_warn };
	struct error e = { "" };

	service_say_reloading();
	if (read_again(&new, p->reload, &e) < 0) {
		log_error("reload: %s: nothing has changed", e.text);
	} else {
		config_take(p->config, &new, &change);
		apply(p, connections, admit, &change);
		log_info("reload: done, %u taken, %u for a restart", change.n_taken, change.n_left);
	}
	service_say_ready();
}
