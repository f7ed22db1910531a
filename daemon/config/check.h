/*
 * What an option's own range cannot tell: names of kernels and KV types, and memory that this machine does not have. Before anything is
 * opened, so that a wrong option is not found out after a minute of loading.
 */
#ifndef GYRE_DAEMON_CONFIG_CHECK_H
#define GYRE_DAEMON_CONFIG_CHECK_H

#include "daemon/config/config.h"

/* 0, or -EINVAL with e saying what to write. root: as in readfile.h. */
int check_config(const struct config *c, const char *root, struct error *e);

#endif
