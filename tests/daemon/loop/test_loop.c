/*
 * Why: which form the control thread's loop has depends on the host, and nobody will try the other one by hand. Both must give the same
 * events for the same operations, errors and hang-ups included.
 */
#include "daemon/loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define N_SLOT 8

static struct loop *l;

/* The next event; its slot must be `slot`. */
static int next(uint32_t slot)
{
	struct loop_event ev = { 0 };
	int r;

	do {
		r = loop_wait(l, &ev);
	} while (r == 0);
	assert_int_equal(r, 1);
	assert_int_equal(ev.slot, slot);
	return ev.res;
}

static void reads(void)
{
	char text[2][16];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	loop_read(l, 3, pair[0], text[0], sizeof(text[0]));
	loop_timeout(l, 5, 1000000);
	assert_int_equal(next(5), 0); /* nothing to read yet */
	assert_int_equal(send(pair[1], "abc", 3, 0), 3);
	assert_int_equal(next(3), 3);
	assert_memory_equal(text[0], "abc", 3);
	loop_read(l, 3, pair[0], text[1], sizeof(text[1])); /* the same descriptor again */
	assert_int_equal(send(pair[1], "longer than its sixteen", 23, 0), 23);
	assert_int_equal(next(3), 16); /* cut: the rest of a packet is gone */
	loop_read(l, 3, pair[0], text[0], sizeof(text[0]));
	close(pair[1]);
	assert_int_equal(next(3), 0); /* hung up */
	close(pair[0]);
}

static void polls(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t one = 1;

	for (int i = 0; i < 2; i++) {
		loop_poll(l, 2, fd);
		loop_timeout(l, 5, 1000000);
		assert_int_equal(next(5), 0);
		assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
		assert_true(next(2) & POLLIN);
		assert_int_equal(read(fd, &one, sizeof(one)), sizeof(one));
	}
	close(fd);
}

static void connect_to(const struct sockaddr_un *a, int fd[2])
{
	for (int i = 0; i < 2; i++) {
		fd[i] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		assert_int_equal(connect(fd[i], (const struct sockaddr *)a, sizeof(*a)), 0);
	}
}

static void accepts(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), client[2];
	struct rlimit all, few;

	snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/gyre-loop-%d", (int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	connect_to(&a, client);
	for (int i = 0; i < 2; i++) {
		int got;

		loop_accept(l, 0, fd);
		got = next(0);
		assert_true(got >= 0);
		close(got);
	}
	close(client[0]);
	close(client[1]);
	/* Without a descriptor left it is an error of the event's, and the connection waits. */
	connect_to(&a, client);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = (struct rlimit){ 3, all.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	loop_accept(l, 0, fd);
	assert_int_equal(next(0), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	loop_accept(l, 0, fd);
	assert_true(next(0) >= 0);
	close(client[0]);
	close(client[1]);
	close(fd);
	unlink(a.sun_path);
}

/* A descriptor that is none ends its operation and nobody else's. */
static void tells_errors(void)
{
	char byte;

	loop_read(l, 7, 1000, &byte, 1);
	assert_int_equal(next(7), -EBADF);
	loop_timeout(l, 5, 0);
	assert_int_equal(next(5), 0);
}

/* All slots at once, ready in one moment: each has its event. */
static void gives_each_its_own(void)
{
	int fd[N_SLOT];
	uint64_t value[N_SLOT], one = 1;
	bool seen[N_SLOT] = { false };

	for (uint32_t i = 0; i < N_SLOT; i++) {
		fd[i] = eventfd(0, 0);
		loop_read(l, i, fd[i], &value[i], sizeof(value[i]));
	}
	for (uint32_t i = 0; i < N_SLOT; i++)
		assert_int_equal(write(fd[i], &one, sizeof(one)), sizeof(one));
	for (uint32_t i = 0; i < N_SLOT;) {
		struct loop_event ev;
		int r = loop_wait(l, &ev);

		assert_true(r >= 0);
		if (!r)
			continue;
		assert_int_equal(ev.res, sizeof(one));
		assert_false(seen[ev.slot]);
		seen[ev.slot] = true;
		i++;
	}
	for (uint32_t i = 0; i < N_SLOT; i++)
		close(fd[i]);
}

static void every_form_gives_the_same_events(void **state)
{
	const struct loop_backend *const form[] = { &loop_uring, &loop_epoll };

	(void)state;
	for (size_t i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
		int r = form[i]->open(&l, N_SLOT);

		if (r == -EPERM || r == -ENOSYS) {
			printf("skip: %s: %s\n", form[i]->name, strerror(-r));
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(loop_name(l), form[i]->name);
		reads();
		polls();
		accepts();
		tells_errors();
		gives_each_its_own();
		l = loop_close(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_gives_the_same_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
