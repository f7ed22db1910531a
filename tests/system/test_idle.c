/*
 * Why: a daemon that nobody uses stands on a node for weeks; each wake-up costs power, and time of whoever has the core. The switches of
 * each thread of the real gyred are counted while nobody wants anything: there are none, but for the look at the engines five
 * times a second while somebody is connected.
 */
#include "shm/clock.h"
#include "tests/system/tinyd.h"
#include "tests/util/emulated.h"

#include <dirent.h>

#define WATCH_US      1500000
#define LOOK_NS       200000000ull
#define SETTLE_US     300000
#define TRY_MAX       20
#define LOOK_SWITCHES 2 /* the look itself, and maybe a lock on the way */

static struct tinyd d;

/* Of all threads, and of the first one alone. */
struct switches {
	unsigned long all, control;
};

static unsigned long switches_of(const char *task)
{
	char path[320], line[256];
	unsigned long n = 0, one;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)d.pid, task);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &one) == 1)
			n += one;
	if (f)
		fclose(f);
	return n;
}

static struct switches count(void)
{
	struct switches s = { 0, 0 };
	char path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)d.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (*e->d_name != '.') {
			unsigned long n = switches_of(e->d_name);

			s.all += n;
			s.control += atoi(e->d_name) == d.pid ? n : 0;
		}
	closedir(dir);
	return s;
}

/* In a while: wake-ups of the control thread beyond the looks that there is a time for, and all of the others. Of several whiles the
 * quietest, since what was wanted before may still be ending. */
static unsigned long wakeups(bool is_connected)
{
	unsigned long least = -1ul;

	for (int i = 0; i < TRY_MAX && least; i++) {
		struct switches before, after;
		unsigned long n, n_look;
		uint64_t begin;

		usleep(SETTLE_US);
		before = count();
		begin = clock_ns();
		usleep(WATCH_US);
		after = count();
		n_look = is_connected ? LOOK_SWITCHES * ((clock_ns() - begin) / LOOK_NS + 2) : 0;
		n = after.control - before.control;
		n = (n > n_look ? n - n_look : 0) + after.all - after.control - (before.all - before.control);
		least = n < least ? n : least;
	}
	return least;
}

static void nobody_is_woken_for_nothing(void **state)
{
	char *argv[] = { (char *)"--threads", (char *)"2", NULL };
	struct gyre *g[3];

	(void)state;
	if (is_emulated("a wake-up is"))
		skip();
#ifdef GYRE_SANITIZED
	puts("skip: a sanitizer's threads wake up");
	skip();
#endif
	tinyd_start(&d, argv, NULL, NULL);
	tinyd_wait_ready(&d);
	assert_int_equal(wakeups(false), 0);
	for (size_t i = 0; i < 3; i++) {
		g[i] = tinyd_connect(&d, NULL);
		assert_int_equal(tinyd_generate(g[i], "hello", 3), 0);
	}
	assert_int_equal(wakeups(true), 0);
	for (size_t i = 0; i < 3; i++)
		gyre_close(g[i]);
	assert_int_equal(wakeups(false), 0);
	assert_int_equal(tinyd_stop(&d), 0);
}

static int setup(void **state)
{
	(void)state;
	tinyd_setup(&d, &tiny_served);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nobody_is_woken_for_nothing) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
