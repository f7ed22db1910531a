/* Spinning, parking and waking; the model is in doorbell.h. */
#include "shm/doorbell.h"

#include "cpu.h"
#include "shm/atomic.h"
#include "shm/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S        1000000000ull
#define SPINS_PER_CLOCK 32 /* a pause is up to ~140 cycles, a clock read ~25 ns */

void doorbell_arm(struct abi_daemon_page *daemon)
{
	store_relaxed(&daemon->need_wakeup, 1);
	fence(); /* before the caller's last look at sq_tail; pairs with the fence in doorbell_is_needed */
}

void doorbell_disarm(struct abi_daemon_page *daemon)
{
	store_relaxed(&daemon->need_wakeup, 0);
}

int doorbell_wake_client(const struct abi_client_page *client, struct abi_daemon_page *daemon)
{
	uint32_t parked;

	fence(); /* cq_tail is out before we look at parked; pairs with the fence after the client's store of parked */
	parked = load_relaxed(&client->parked);
	if (parked == GYRE_PARKED_FUTEX)
		syscall(SYS_futex, &daemon->cq_tail, FUTEX_WAKE, 1, NULL, NULL,
			0); /* a session has one that waits: a herd is its own matter */
	return parked <= GYRE_PARKED_SOCKET ? (int)parked : GYRE_PARKED_SPIN;
}

bool doorbell_is_needed(const struct abi_daemon_page *daemon)
{
	fence(); /* sq_tail is out before we look; pairs with the fence in doorbell_arm */
	return load_relaxed(&daemon->need_wakeup) != 0;
}

int doorbell_ring(int event_fd)
{
	const uint64_t one = 1;

	if (write(event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

bool doorbell_spin(const uint32_t *word, uint32_t seen, uint64_t spin_ns)
{
	uint64_t start = clock_ns();

	do {
		for (int i = 0; i < SPINS_PER_CLOCK; i++) {
			if (load_acquire(word) != seen) /* pairs with the store-release in cq_producer_commit */
				return true;
			cpu_relax();
		}
	} while (clock_ns() - start < spin_ns);
	return false;
}

int doorbell_park(const uint32_t *word, uint32_t seen, uint64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / NS_PER_S), .tv_nsec = (long)(timeout_ns % NS_PER_S) };

	if (syscall(SYS_futex, word, FUTEX_WAIT, seen, &ts, NULL, 0) == 0 || errno == EAGAIN)
		return 0;
	return -errno;
}
