#include "daemon/control/refuse.h"
#include "daemon/util/cleanup.h"
#include "shm/abi.h"
#include "shm/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CLIENT_MS 100         /* a hello follows its connection at once */
#define ALL_NS    2000000000u /* who connects and says nothing takes the others' time */

static bool has_come(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* The hello is taken first: a socket that is closed with something unread loses what was sent. */
static void refuse(int fd, const struct abi_welcome *w)
{
	char hello[sizeof(struct abi_hello)];

	if (has_come(fd, CLIENT_MS) && recv(fd, hello, sizeof(hello), MSG_DONTWAIT) > 0)
		(void)send(fd, w, sizeof(*w), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void refuse_waiting(int listen_fd, const char *why)
{
	struct abi_welcome w = {
		.magic = GYRE_ABI_MAGIC, .version = GYRE_ABI_VERSION, .layout_hash = abi_layout_hash(), .res = -ENODEV
	};
	uint64_t end_ns = clock_ns() + ALL_NS;

	snprintf(w.text, sizeof(w.text), "gyred cannot start: %s", why);
	while (clock_ns() < end_ns && has_come(listen_fd, 0)) {
		_cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return;
		refuse(fd, &w);
	}
}
