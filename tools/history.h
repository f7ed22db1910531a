/* The history of typed messages: $XDG_STATE_HOME/gyre/history, readable for its owner alone. Each message is appended at once, so that
 * two sessions lose nothing of each other's; a file that grew too long is cut when it is read. */
#ifndef GYRE_TOOLS_HISTORY_H
#define GYRE_TOOLS_HISTORY_H

#include <stddef.h>

#define HISTORY_MAX 1000 /* messages */

/* The file's path, its folders made. 0 or -errno. */
int history_path(char *path, size_t n);
/* Adds a message in libedit's form, which H_LOAD reads; NULL: makes the file, with mode 0600. 0 or -errno. */
int history_append(const char *path, const char *message);

#endif
