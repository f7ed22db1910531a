/*
 * Why: whoever starts gyred twice on one path must end up with one daemon that can be reached. A dead socket file must not keep
 * a new daemon out, and of many that find it dead at once, none may remove what another has just bound.
 */
#include "daemon/control/listen.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define N_RACER 64
#define N_ROUND 3

static char dir[64], path[96];
static pthread_barrier_t line;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/gyre-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

/* Fails if anything but the socket is left. */
static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

struct racer {
	struct listener l;
	int result;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	struct error e;

	pthread_barrier_wait(&line);
	r->result = listen_open(&r->l, path, NULL, &e);
	return NULL;
}

static void expect_reachable(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
}

/* In the first round there is no file; then each finds the dead one of the round before. */
static void of_many_that_start_one_serves(void **state)
{
	(void)state;
	pthread_barrier_init(&line, NULL, N_RACER);
	for (int round = 0; round < N_ROUND; round++) {
		pthread_t thread[N_RACER];
		struct racer racer[N_RACER];
		int served = -1;

		for (int i = 0; i < N_RACER; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, race, &racer[i]), 0);
		for (int i = 0; i < N_RACER; i++)
			pthread_join(thread[i], NULL);
		for (int i = 0; i < N_RACER; i++) {
			if (racer[i].result < 0) {
				assert_int_equal(racer[i].result, -EADDRINUSE);
				continue;
			}
			assert_int_equal(served, -1);
			served = racer[i].l.fd;
		}
		assert_true(served >= 0);
		expect_reachable();
		close(served);
	}
	pthread_barrier_destroy(&line);
}

/* Somebody removed the file and another daemon came: the first one's end does not make it unreachable. */
static void what_stands_in_its_place_stays(void **state)
{
	struct listener first, second;
	struct error e;

	(void)state;
	assert_int_equal(listen_open(&first, path, NULL, &e), 0);
	unlink(path);
	assert_int_equal(listen_open(&second, path, NULL, &e), 0);
	listen_close(&first);
	expect_reachable();
	listen_close(&second);
	assert_int_equal(access(path, F_OK), -1);
}

/* Only what nobody answers on is removed: a socket of another kind is another program's. */
static void a_socket_of_another_program_stays(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int served = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct listener l;
	struct error e;

	(void)state;
	strcpy(a.sun_path, path);
	assert_int_equal(bind(served, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(served, 1), 0);
	assert_int_equal(listen_open(&l, path, NULL, &e), -EPROTOTYPE);
	assert_non_null(strstr(e.text, "choose another --socket"));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	close(served);
}

/* Nor one that its owner lets nobody else ask. */
static void a_socket_of_another_user_stays(void **state)
{
	struct listener first, second;
	struct error e;

	(void)state;
	if (geteuid() != 0) {
		puts("skip: another user's socket needs root");
		skip();
	}
	assert_int_equal(listen_open(&first, path, NULL, &e), 0);
	assert_int_equal(chmod(path, 0700) | chmod(dir, 0777), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(listen_open(&second, path, NULL, &e), -EACCES);
	assert_int_equal(seteuid(0), 0);
	expect_reachable();
	listen_close(&first);
}

/* Who may connect is what was asked for, whatever the umask. */
static void the_file_has_the_mode_and_group(void **state)
{
	const struct listen_access access = { .mode = 0620, .group = getuid() ? getgid() : 65534 };
	mode_t before = umask(0);
	struct listener l;
	struct error e;
	struct stat st;

	(void)state;
	assert_int_equal(listen_open(&l, path, &access, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0620);
	assert_int_equal(st.st_gid, access.group);
	listen_close(&l);
	umask(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_many_that_start_one_serves, setup, teardown),
		cmocka_unit_test_setup_teardown(what_stands_in_its_place_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_of_another_program_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_of_another_user_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(the_file_has_the_mode_and_group, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
