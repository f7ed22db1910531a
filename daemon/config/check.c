#include "daemon/config/check.h"
#include "daemon/config/option.h"
#include "daemon/machine/placement.h"
#include "daemon/text/chat.h"
#include "daemon/util/cleanup.h"
#include "daemon/util/nearest.h"
#include "daemon/util/number.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTRANKED 128u /* priorities below it are what priority-uids is about */

/* "FILE:LINE: KEY: ..." of where the key was set, if in a file. */
static __attribute__((format(printf, 6, 7))) int refuse(const struct config *c, const struct config_origin *origin,
							const char *key, int code, struct error *e, const char *fmt,
							...)
{
	char where[PATH_MAX + 16], text[sizeof(e->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	config_where(c, &origin[option_index(option_find(key))], where, sizeof(where));
	return error_set(e, code, "%.*s%s: %s", (int)sizeof(where), where, key, text);
}

/* ---- values ---- */

/* Less than a client's rings take would refuse each of them, after "ready" was said. */
static int check_sessions(const struct config *c, struct error *e)
{
	char have[32];

	if (!c->session_bytes || c->session_bytes >= CONFIG_SESSION_MIN)
		return 0;
	number_size(have, sizeof(have), c->session_bytes);
	return refuse(c, c->origin, "session-bytes", -EINVAL, e,
		      "%s hold no client's rings; write %uM or more, or 0 for half of what is left", have,
		      CONFIG_SESSION_MIN >> 20);
}

static int check_sockets(const struct config *c, struct error *e)
{
	if (!strcmp(c->socket, c->metrics_socket))
		return refuse(c, c->origin, "metrics-socket", -EINVAL, e, "%s is the socket of clients; choose another",
			      c->socket);
	if (*c->socket_group && c->socket_mode && !(c->socket_mode & 020))
		return refuse(c, c->origin, "socket-group", -EINVAL, e,
			      "socket-mode %04o does not let the group write, so none of it could connect; write "
			      "socket-mode = %04o",
			      c->socket_mode, c->socket_mode | 060);
	return 0;
}

static int check_threads(const struct config *c, struct error *e)
{
	if (c->n_thread && c->n_thread < c->n_node)
		return refuse(c, c->origin, "nodes", -EINVAL, e,
			      "%u nodes, but threads = %u: each has one at least; lower nodes or raise threads",
			      c->n_node, c->n_thread);
	return 0;
}

static int refuse_model(const struct config *c, const struct config_quota *q, const char *name, size_t n,
			struct error *e)
{
	char list[256] = "";
	struct nearest near;

	nearest_begin(&near, name, n);
	for (uint32_t i = 0; i < c->n_model; i++) {
		size_t at = strlen(list);

		nearest_offer(&near, c->model[i].name);
		snprintf(list + at, sizeof(list) - at, "%s%s", at ? ", " : "", c->model[i].name);
	}
	if (near.best)
		return refuse(c, q->origin, "models", -EINVAL, e,
			      "there is no model '%.*s'; did you mean %s? There are: %s", (int)n, name, near.best,
			      list);
	return refuse(c, q->origin, "models", -EINVAL, e, "there is no model '%.*s'; there are: %s", (int)n, name,
		      list);
}

static int check_models_of(const struct config *c, const struct config_quota *q, struct error *e)
{
	size_t n;

	for (const char *at = q->models; *at; at += n + (at[n] == ',')) {
		bool is_there = false;

		n = strcspn(at, ",");
		for (uint32_t i = 0; i < c->n_model; i++)
			is_there |= strlen(c->model[i].name) == n && !strncmp(c->model[i].name, at, n);
		if (!is_there)
			return refuse_model(c, q, at, n, e);
	}
	return 0;
}

static bool outranks(const struct config *c, uint32_t uid)
{
	for (uint32_t i = 0; i < c->outrank.n; i++)
		if (c->outrank.uid[i] == uid)
			return true;
	return false;
}

static int check_quota(const struct config *c, const struct config_quota *q, struct error *e)
{
	char have[32];

	if (q->arena_bytes && q->arena_bytes < CONFIG_SESSION_MIN)
		return refuse(c, q->origin, "max-arena-bytes", -EINVAL, e,
			      "%s hold no client's rings; write %uM or more, or 0 for no limit",
			      number_size(have, sizeof(have), q->arena_bytes), CONFIG_SESSION_MIN >> 20);
	if (q->whom == CONFIG_UID && q->priority >= OUTRANKED && outranks(c, q->id))
		return refuse(
			c, q->origin, "max-priority", -EINVAL, e,
			"uid %u is one of priority-uids, which is about priorities below %u, and with %u it may have "
			"none of them; lower this, or take it out there",
			q->id, OUTRANKED, q->priority);
	return check_models_of(c, q, e);
}

int check_config(const struct config *c, struct error *e)
{
	int r = check_sessions(c, e);

	if (r == 0)
		r = check_sockets(c, e);
	if (r == 0)
		r = check_threads(c, e);
	if (r == 0)
		r = check_quota(c, &c->everybody, e);
	for (uint32_t i = 0; r == 0 && i < c->n_quota; i++)
		r = check_quota(c, &c->quota[i], e);
	return r;
}

/* ---- the machine ---- */

/* All pools together, without the weights, which are not known yet: a pool refused here could not run. */
int check_memory(const struct config *c, const char *root, struct error *e)
{
	size_t available = placement_available(root, -1) / c->n_replica;
	const struct config_model *last = &c->model[0];
	uint64_t bytes = 0, budget = c->memory / c->n_replica;
	char want[32], have[32];

	for (uint32_t i = 0; i < c->n_model; i++) {
		bytes = bytes + c->model[i].kv_bytes < bytes ? UINT64_MAX : bytes + c->model[i].kv_bytes;
		last = c->model[i].kv_bytes ? &c->model[i] : last;
	}
	number_size(want, sizeof(want), bytes);
	if (budget && bytes > budget)
		return refuse(c, last->origin, "kv-bytes", -EINVAL, e, "%s%s%s, but memory = %s for all; lower it",
			      want, c->n_model > 1 ? " of all models" : "", c->n_replica > 1 ? " a replica" : "",
			      number_size(have, sizeof(have), c->memory));
	if (bytes <= available)
		return 0;
	return refuse(c, last->origin, "kv-bytes", -EINVAL, e, "%s%s%s, but this machine has %s left%s; lower it", want,
		      c->n_model > 1 ? " of all models" : "", c->n_replica > 1 ? " a replica" : "",
		      number_size(have, sizeof(have), available), c->n_replica > 1 ? " for each" : "");
}

/* ---- files ---- */

static int try_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

static int check_model(const struct config *c, const struct config_model *m, struct error *e)
{
	int r = try_file(m->file);

	if (r == -EINVAL)
		return refuse(c, m->origin, "model", r, e, "%s: is no file; name a GGUF file", m->file);
	if (r == -EACCES)
		return refuse(c, m->origin, "model", r, e,
			      "%s: gyred's user (%u) may not read it; chmod a+r it, and a+x the folders above", m->file,
			      (unsigned)getauxval(AT_EUID));
	if (r < 0)
		return refuse(c, m->origin, "model", r, e, "%s: %s; name a GGUF file", m->file, strerror(-r));
	return 0;
}

static int check_template(const struct config *c, const struct config_model *m, struct error *e)
{
	char names[256];
	int r = *m->chat_template && !chat_builtin(m->chat_template).p ? try_file(m->chat_template) : 0;

	if (r == 0)
		return 0;
	chat_builtin_names(names, sizeof(names));
	return refuse(c, m->origin, "chat-template", r, e, "%s: %s; name a file, or one of gyred's own: %s",
		      m->chat_template, r == -EINVAL ? "is no file" : strerror(-r), names);
}

/* The folder of a socket. */
static int check_folder(const struct config *c, const char *key, const char *path, struct error *e)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	if (!*path || !*folder || !strcmp(folder, "/run/gyre") || access(folder, W_OK | X_OK) == 0)
		return 0;
	return refuse(c, c->origin, key, -errno, e, "%s: %s; make that folder, or choose a --%s in one you may write",
		      folder, strerror(errno), key);
}

int check_files(const struct config *c, bool has_socket, struct error *e)
{
	int r = has_socket ? 0 : check_folder(c, "socket", c->socket, e);

	if (r == 0)
		r = check_folder(c, "metrics-socket", c->metrics_socket, e);
	for (uint32_t i = 0; r == 0 && i < c->n_model; i++) {
		r = check_model(c, &c->model[i], e);
		if (r == 0)
			r = check_template(c, &c->model[i], e);
	}
	return r;
}
