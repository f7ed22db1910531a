/* What a thread of this process does at the moment, as the kernel sees it. */
#ifndef GYRE_DAEMON_MACHINE_THREAD_H
#define GYRE_DAEMON_MACHINE_THREAD_H

#include <pthread.h>

/* The letter of proc(5)'s stat: 'R' runs or waits for a CPU, 'S' sleeps, 'D' waits for memory or a disk, 'T' and 't' is stopped; 0: the thread
 * has ended, or cannot be seen. root: "" is this machine. The thread is not joined yet. */
char thread_state(const char *root, pthread_t thread);

#endif
