#include "daemon/control/welcome.h"
#include "daemon/control/handshake.h"
#include "daemon/text/text.h"
#include "daemon/util/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void fill_model(const struct served *s, struct abi_welcome *w)
{
	w->n_vocab = s->geometry.n_vocab;
	w->n_ctx = s->geometry.n_ctx;
	w->bos = s->bos;
	w->eos = s->eos;
	w->n_embd = s->n_embd;
	w->has_chat = s->has_chat;
	memcpy(w->model, s->name, sizeof(w->model));
	memcpy(w->title, s->title, sizeof(w->title));
}

static int send_welcome(int fd, const struct abi_welcome *w, const struct session *s)
{
	char space[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)w, sizeof(*w) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[3];

	if (s) {
		struct cmsghdr *cm;

		m.msg_control = space;
		m.msg_controllen = sizeof(space);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fds));
		fds[0] = s->region.client_fd;
		fds[1] = s->region.daemon_fd;
		fds[2] = s->doorbell_fd;
		memcpy(CMSG_DATA(cm), fds, sizeof(fds));
	}
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void explain_session(int res, char *text, size_t n)
{
	if (res == -EINVAL)
		snprintf(text, n, "rings are powers of two up to %u and %u entries, arenas %u to %u bytes",
			 GYRE_SQ_ENTRIES_MAX, GYRE_CQ_ENTRIES_MAX, GYRE_ARENA_BYTES_MIN, GYRE_ARENA_BYTES_MAX);
	else if (res == -EMFILE || res == -ENFILE)
		snprintf(text, n, "gyred has no file descriptor left; raise its LimitNOFILE (ulimit -n)");
	else if (res == -EFBIG)
		snprintf(text, n,
			 "gyred may not make a file of that size; ask for smaller rings and a smaller arena, or "
			 "raise its LimitFSIZE (ulimit -f)");
	else
		snprintf(text, n, "gyred cannot make a session: %s; %s", strerror(-res), error_remedy(res));
}

int welcome(const struct admit *a, struct connection *n)
{
	struct abi_welcome w = { .magic = GYRE_ABI_MAGIC,
				 .version = GYRE_ABI_VERSION,
				 .layout_hash = abi_layout_hash() };

	w.res = handshake_check(&n->in.hello, w.text, sizeof(w.text));
	if (w.res == 0)
		w.res = admit_session(a, n, w.text, sizeof(w.text));
	if (w.res > 0)
		return 1;
	if (w.res == 0) {
		fill_model(n->served, &w);
		w.res = session_new(&n->session, n->served, n->fd, n->uid, &n->in.hello);
		if (w.res < 0)
			explain_session(w.res, w.text, sizeof(w.text));
	}
	w.limits = quota_limits(n->quota);
	if (n->session)
		session_set_limits(n->session, &w.limits, n->quota->weight);
	if (!w.limits.n_request)
		w.limits.n_request = a->n_request;
	if (!w.limits.n_pinned && n->served)
		w.limits.n_pinned = served_pin_default(&n->served->geometry);
	if (n->session) {
		w.client_bytes = n->session->region.layout.client_bytes;
		w.daemon_bytes = n->session->region.layout.daemon_bytes;
	}
	return send_welcome(n->fd, &w, n->session) < 0 || w.res < 0 ? -EPROTO : 0;
}
