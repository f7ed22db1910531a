/* Sessions in the statistics: numbers of each, for anybody to see, and nothing of what goes through it. Control thread. */
#ifndef GYRE_DAEMON_CONTROL_ROWS_H
#define GYRE_DAEMON_CONTROL_ROWS_H

#include "daemon/control/connections.h"

/*
 * "session_columns":[names],"session_rows":[[numbers],…],"session_rows_left_out":N, as members of an object, without a comma before or
 * behind: rows as far as text[n] has room. Returns the length; 0: not even for none.
 */
size_t rows_write(const struct connections *t, char *text, size_t n);

#endif
