/*
 * The checks that an option's own range cannot make: options that contradict each other, names that nothing has, and what this machine does
 * not have. They come before anything is loaded, so that a wrong option is not found out after a minute of loading. A message begins with
 * the file and line that it is about.
 */
#ifndef GYRE_DAEMON_CONFIG_CHECK_H
#define GYRE_DAEMON_CONFIG_CHECK_H

#include "daemon/config/config.h"

/* 0, or -EINVAL with e saying what to write. */
int check_config(const struct config *c, struct error *e);
/* Is there memory for the pools? The same; not for what is loaded already. root: as in readfile.h. */
int check_memory(const struct config *c, const char *root, struct error *e);
/* Files and folders that it names can be used: -errno, with e. has_socket: another has made the socket. */
int check_files(const struct config *c, bool has_socket, struct error *e);

#endif
