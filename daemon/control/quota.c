#include "daemon/control/quota.h"
#include "daemon/util/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct groups {
	gid_t *gid; /* NULL: none */
	size_t n;
};

/* The supplementary ones; a kernel before 4.13 does not tell. */
static void read_groups(struct groups *g, int fd)
{
	socklen_t bytes = 0;

	*g = (struct groups){ NULL, 0 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) == 0 || errno != ERANGE)
		return;
	g->gid = malloc(bytes);
	if (!g->gid || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, g->gid, &bytes) < 0)
		bytes = 0;
	g->n = bytes / sizeof(gid_t);
}

static bool has_group(const struct groups *g, gid_t own, gid_t wanted)
{
	bool has = own == wanted;

	for (size_t i = 0; i < g->n && !has; i++)
		has = g->gid[i] == wanted;
	return has;
}

static const struct config_quota *find_group(const struct config *c, int fd, gid_t own)
{
	const struct config_quota *found = NULL;
	struct groups g;

	read_groups(&g, fd);
	for (uint32_t i = 0; i < c->n_quota && !found; i++)
		if (c->quota[i].whom == CONFIG_GID && has_group(&g, own, c->quota[i].id))
			found = &c->quota[i];
	free(g.gid);
	return found;
}

const struct config_quota *quota_find(const struct config *c, int fd, const struct ucred *peer)
{
	const struct config_quota *found;
	bool has_groups = false;

	for (uint32_t i = 0; i < c->n_quota; i++) {
		if (c->quota[i].whom == CONFIG_UID && c->quota[i].id == peer->uid)
			return &c->quota[i];
		has_groups |= c->quota[i].whom == CONFIG_GID;
	}
	found = has_groups ? find_group(c, fd, peer->gid) : NULL;
	return found ? found : &c->everybody;
}

struct gyre_limits quota_limits(const struct config_quota *q)
{
	return (struct gyre_limits){ .arena_bytes = q->arena_bytes,
				     .n_session = q->n_session,
				     .n_request = q->n_request,
				     .n_position = q->n_position,
				     .n_pinned = q->n_pinned,
				     .tokens_a_second = q->tokens_a_second,
				     .priority = q->priority };
}

bool quota_has_model(const struct config_quota *q, const char *name)
{
	size_t n = strlen(name), len;

	for (const char *at = q->models; *at; at += len + (at[len] == ',')) {
		len = strcspn(at, ",");
		if (len == n && !memcmp(at, name, n))
			return true;
	}
	return !*q->models;
}
