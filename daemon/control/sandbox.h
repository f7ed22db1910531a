/*
 * The filter of system calls that gyred serves behind. Whoever gets to run code in it, through a file or a client's bytes, finds that
 * no program can be started, no file written, no socket of the network opened and no memory made executable. A call that the table
 * does not have ends the daemon, and its name is logged first.
 *
 * An io_uring makes calls that no filter sees. None is made from here on, and the control loop's own takes four operations for ever
 * (loop/uring.c).
 */
#ifndef GYRE_DAEMON_CONTROL_SANDBOX_H
#define GYRE_DAEMON_CONTROL_SANDBOX_H

#include "daemon/util/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SANDBOX_CALL_MAX   45u /* as many as may be allowed */
#define SANDBOX_EITHER_MAX 6u
#define SANDBOX_PATH_MAX   2u

enum sandbox_value {
	SANDBOX_VALUE,     /* the number `value` */
	SANDBOX_OWN_SOCKET /* the address of path number `value` that sandbox_enter was given */
};

/* The argument, and mask, is the value. */
struct sandbox_condition {
	uint32_t argument;
	uint64_t mask, value;
	enum sandbox_value kind;
};

/* A call that is allowed if any of its conditions holds; without one, always. */
struct sandbox_row {
	const char *name, *other; /* other: where this machine has no `name`; NULL: there is none */
	const char *why;
	uint32_t n_either;
	struct sandbox_condition either[SANDBOX_EITHER_MAX];
};

/* A call that is refused with an errno, since its caller has another way. */
struct sandbox_refusal {
	const char *name, *why;
	int code;
};

extern const struct sandbox_row sandbox_row[];
extern const uint32_t sandbox_n_row;
extern const struct sandbox_refusal sandbox_refusal[];
extern const uint32_t sandbox_n_refusal;

/*
 * All threads of the process, and those that they make, are behind the filter from here on. path: of the sockets' files, which are
 * removed at the end; NULL: none is. -errno with e: nothing has changed, and the host does not have what it takes.
 */
int sandbox_enter(const char *const path[SANDBOX_PATH_MAX], struct error *e);
/* Enters, unless `is_wanted` is false, and logs what there is; a daemon that cannot goes on without. */
void sandbox_try(bool is_wanted, const char *const path[SANDBOX_PATH_MAX]);
/* The filter, as the kernel takes it, written to fd. 0 or -errno. */
int sandbox_export(const char *const path[SANDBOX_PATH_MAX], int fd);

#endif
