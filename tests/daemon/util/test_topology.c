/*
 * One worker too many on a core or past the CPU quota costs more than one too few: barriers wait for the slowest. The
 * machines here are trees of a few files, so that two sockets, hyper-threads and quotas are tested on any box.
 */
#include "daemon/util/topology.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char root[64];

static void write_file(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = strchr(full + strlen(root) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Two nodes of two cores of two threads; siblings are c and c + 4; node 0 has cores 0, 2 and node 1 cores 1, 3. */
static int setup(void **state)
{
	char path[128], text[32];

	(void)state;
	strcpy(root, "/tmp/gyre-topology-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	for (int c = 0; c < 8; c++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", c);
		snprintf(text, sizeof(text), "%d,%d\n", c % 4, c % 4 + 4);
		write_file(path, text);
	}
	write_file("/sys/devices/system/node/online", "0-1\n");
	write_file("/sys/devices/system/node/node0/cpulist", "0,2,4,6\n");
	write_file("/sys/devices/system/node/node1/cpulist", "1,3,5,7\n");
	write_file("/proc/self/cgroup", "0::/a/b\n");
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", root);
	return system(command);
}

static cpu_set_t mask_of(unsigned int bits)
{
	cpu_set_t m;

	CPU_ZERO(&m);
	for (int i = 0; i < 32; i++)
		if (bits >> i & 1)
			CPU_SET(i, &m);
	return m;
}

static void test_cores_by_node(void **state)
{
	static const struct topology_core want[] = { { 0, 0 }, { 2, 0 }, { 1, 1 }, { 3, 1 } };
	cpu_set_t m = mask_of(0xff);
	struct topology t;

	(void)state;
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_cpu, 8);
	assert_int_equal(t.n_core, 4);
	assert_int_equal(t.n_node, 2);
	assert_int_equal(t.quota, 0);
	assert_int_equal(t.n_thread, 4);
	assert_memory_equal(t.core, want, sizeof(want));
}

static void test_mask_takes_the_first_sibling(void **state)
{
	cpu_set_t m = mask_of(0x70); /* CPUs 4, 5, 6: second threads only */
	struct topology t;

	(void)state;
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_core, 3);
	assert_int_equal(t.core[0].cpu, 4);
	m = mask_of(0);
	assert_int_equal(topology_read(&t, root, &m), -EINVAL);
}

static void expect_quota(uint32_t quota, uint32_t n_thread)
{
	cpu_set_t m = mask_of(0xff);
	struct topology t;

	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.quota, quota);
	assert_int_equal(t.n_thread, n_thread);
}

static void test_quota(void **state)
{
	(void)state;
	write_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	expect_quota(0, 4);
	write_file("/sys/fs/cgroup/a/cpu.max", "250000 100000\n"); /* an ancestor's limit holds */
	expect_quota(2, 2);
	write_file("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
	expect_quota(1, 1);
	write_file("/sys/fs/cgroup/a/b/cpu.max", "50000 0\n"); /* nonsense grants nothing and must not divide */
	expect_quota(2, 2);
}

static void test_quota_v1(void **state)
{
	(void)state;
	write_file("/proc/self/cgroup", "3:cpuset:/\n2:cpu,cpuacct:/x\n");
	write_file("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n");
	write_file("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
	expect_quota(0, 4);
	write_file("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "300000\n");
	expect_quota(3, 3);
}

static void test_this_machine(void **state)
{
	char why[128] = "";

	(void)state;
	assert_true(cpu_default_threads(why, sizeof(why)) >= 1);
	assert_true(strlen(why) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cores_by_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mask_takes_the_first_sibling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota_v1, setup, teardown),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
