/*
 * Waiting and waking across the rings: spin for a bounded time, then park. Both directions are Dekker's pattern (store my
 * flag, fence, look once more | publish, fence, look at the flag), so no wake-up is lost and a spinning peer costs no call.
 *
 * The daemon never writes an eventfd (a peer could have filled it and made it blocking): it wakes by futex, or by a message
 * that its caller sends with MSG_DONTWAIT.
 */
#ifndef GYRE_SHM_DOORBELL_H
#define GYRE_SHM_DOORBELL_H

#include "shm/abi.h"

#include <stdbool.h>

enum { GYRE_PARKED_SPIN = 0, GYRE_PARKED_FUTEX = 1, GYRE_PARKED_SOCKET = 2 }; /* abi_client_page.parked */

/* Daemon, before it sleeps: raise need_wakeup. Then drain every SQ once more, and sleep only if all were empty. */
void doorbell_arm(struct abi_daemon_page *daemon);
/* Daemon, awake again. */
void doorbell_disarm(struct abi_daemon_page *daemon);
/* Daemon, after cq_producer_commit. Returns the client's `parked`, GYRE_PARKED_*: if SOCKET, the caller sends it one byte. */
int doorbell_wake_client(const struct abi_client_page *client, struct abi_daemon_page *daemon);

/* Client, after the store-release of sq_tail: does the daemon sleep? */
bool doorbell_is_needed(const struct abi_daemon_page *daemon);
/* Client: write the eventfd. A full one is rung already. 0 or -errno. */
int doorbell_ring(int event_fd);

/* Spin up to spin_ns while *word == seen. True as soon as it differs. */
bool doorbell_spin(const uint32_t *word, uint32_t seen, uint64_t spin_ns);
/* Sleep up to timeout_ns while *word == seen; works on a read-only shared mapping. 0: look again. -ETIMEDOUT. */
int doorbell_park(const uint32_t *word, uint32_t seen, uint64_t timeout_ns);

#endif
