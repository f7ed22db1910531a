/*
 * The checks that an option's own range cannot make: names of kernels and KV types, and memory that this machine does not have. They
 * come before anything is opened, so that a wrong option is not found out after a minute of loading.
 */
#ifndef GYRE_DAEMON_CONFIG_CHECK_H
#define GYRE_DAEMON_CONFIG_CHECK_H

#include "daemon/config/config.h"

/* 0, or -EINVAL with e saying what to write. root: as in readfile.h. */
int check_config(const struct config *c, const char *root, struct error *e);

#endif
