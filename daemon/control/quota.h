/*
 * Which quota a client has: its user's own, else that of the first of its groups in the configuration's order, else everybody's. The kernel
 * says who it is, as of its connect: uid, group and supplementary groups. A process may have other groups than another of the same
 * user, so the limits are a session's; what is counted against them is all that the user has.
 */
#ifndef GYRE_DAEMON_CONTROL_QUOTA_H
#define GYRE_DAEMON_CONTROL_QUOTA_H

#include "daemon/config/config.h"
#include "shm/abi.h"

#include <sys/socket.h>

/* Of the process that has connected fd; of c, and changed with it. */
const struct config_quota *quota_find(const struct config *c, int fd, const struct ucred *peer);
struct gyre_limits quota_limits(const struct config_quota *q);
/* May it ask for the model of this name? */
bool quota_has_model(const struct config_quota *q, const char *name);

#endif
