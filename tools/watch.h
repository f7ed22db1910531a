/* `gyre stat --watch`: what the counters grow by, a line each time, as vmstat has it. */
#ifndef GYRE_TOOLS_WATCH_H
#define GYRE_TOOLS_WATCH_H

#include "tools/tool.h"

/* Until Ctrl-C, or nobody reads it. An exit code. */
int watch_print(struct link *l, float seconds, bool as_json);
/* Sleeps so long; a signal may end it early. */
void watch_sleep(float seconds);

#endif
