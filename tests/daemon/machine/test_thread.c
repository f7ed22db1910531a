/*
 * Why: whether a thread stands or is starved decides whether a daemon is started anew. The kernel's word for it must be read rightly, for
 * threads of any name.
 */
#include "daemon/machine/thread.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static int stop; /* atomic */

static void *sleep_on(void *fd)
{
	char c;

	return (void *)(intptr_t)read(*(int *)fd, &c, 1);
}

static void *spin(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		continue;
	return arg;
}

static void a_state_is_the_kernels(void **state)
{
	pthread_t sleeper, spinner;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(pthread_create(&sleeper, NULL, sleep_on, fd), 0);
	while (thread_state("", sleeper) != 'S')
		usleep(1000);
	assert_int_equal(pthread_create(&spinner, NULL, spin, NULL), 0);
	pthread_setname_np(spinner, "a) S (b) S");
	for (int i = 0; i < 100; i++)
		assert_int_equal(thread_state("", spinner), 'R');
	assert_int_equal(thread_state("/nowhere", spinner), 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	assert_int_equal(write(fd[1], "", 1), 1);
	while (thread_state("", sleeper)) /* it has ended */
		usleep(1000);
	pthread_join(spinner, NULL);
	pthread_join(sleeper, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_is_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
