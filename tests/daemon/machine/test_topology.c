/*
 * One worker too many on a core or past the CPU quota costs more than one too few: barriers wait for the slowest. The
 * machines here are trees of a few files, so that two sockets, hyper-threads and quotas are tested on any box.
 */
#include "daemon/machine/cgroup.h"
#include "daemon/machine/layout.h"
#include "daemon/machine/placement.h"
#include "daemon/machine/topology.h"
#include "tests/util/sysfs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char root[64];
static struct topology t;

static void write_file(const char *path, const char *text)
{
	sysfs_write(root, path, text);
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
		snprintf(text, sizeof(text), "%d,%d", c % 4, c % 4 + 4);
		write_file(path, text);
	}
	write_file("/sys/devices/system/node/online", "0-1");
	write_file("/sys/devices/system/node/node0/cpulist", "0,2,4,6");
	write_file("/sys/devices/system/node/node1/cpulist", "1,3,5,7");
	write_file("/proc/self/cgroup", "0::/a/b");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sysfs_remove(root);
	return 0;
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
	static const struct topology_core want[] = {
		{ 0, 0, 0, -1, TIER_CORE },    { 2, 0, 2, -1, TIER_CORE },    { 1, 1, 1, -1, TIER_CORE },
		{ 3, 1, 3, -1, TIER_CORE },    { 4, 0, 0, -1, TIER_SIBLING }, { 6, 0, 2, -1, TIER_SIBLING },
		{ 5, 1, 1, -1, TIER_SIBLING }, { 7, 1, 3, -1, TIER_SIBLING },
	};
	cpu_set_t m = mask_of(0xff);

	(void)state;
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_cpu, 8);
	assert_int_equal(t.n_core, 4);
	assert_int_equal(t.quota, 0);
	assert_int_equal(t.n_thread, 4);
	assert_memory_equal(t.core, want, sizeof(want));
}

static void test_mask_takes_the_first_sibling(void **state)
{
	cpu_set_t m = mask_of(0x70); /* CPUs 4, 5, 6: second threads only */

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

	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.quota, quota);
	assert_int_equal(t.n_thread, n_thread);
}

static void test_quota(void **state)
{
	(void)state;
	write_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000");
	expect_quota(0, 4);
	write_file("/sys/fs/cgroup/a/cpu.max", "250000 100000"); /* an ancestor's limit holds */
	expect_quota(2, 2);
	write_file("/sys/fs/cgroup/a/b/cpu.max", "50000 100000");
	expect_quota(1, 1);
	write_file("/sys/fs/cgroup/a/b/cpu.max", "50000 0"); /* nonsense grants nothing and must not divide */
	expect_quota(2, 2);
}

static void test_quota_v1(void **state)
{
	(void)state;
	write_file("/proc/self/cgroup", "3:cpuset:/y\n2:cpu,cpuacct:/x");
	write_file("/sys/fs/cgroup/cpu/y/cpu.cfs_quota_us", "100000"); /* of a group that this one is not in */
	write_file("/sys/fs/cgroup/cpu/y/cpu.cfs_period_us", "100000");
	write_file("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1");
	write_file("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000");
	expect_quota(0, 4);
	write_file("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "300000");
	expect_quota(3, 3);
}

/* The least of all levels; what holds files is as good as free. */
static void test_memory_limit(void **state)
{
	(void)state;
	assert_true(cgroup_memory(root) == SIZE_MAX);
	write_file("/sys/fs/cgroup/a/b/memory.max", "max");
	write_file("/sys/fs/cgroup/a/b/memory.current", "5000");
	assert_true(cgroup_memory(root) == SIZE_MAX);
	write_file("/sys/fs/cgroup/a/memory.max", "9000");
	write_file("/sys/fs/cgroup/a/memory.current", "7000");
	assert_true(cgroup_memory(root) == 2000);
	write_file("/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 300\nactive_file 20\ninactive_anon 7");
	assert_true(cgroup_memory(root) == 2320);
	write_file("/sys/fs/cgroup/a/b/memory.max", "4000"); /* passed already */
	assert_true(cgroup_memory(root) == 0);
	write_file("/proc/self/cgroup", "4:memory:/x");
	write_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
	write_file("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1000");
	write_file("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "8000");
	write_file("/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1000");
	write_file("/sys/fs/cgroup/memory/x/memory.stat",
		   "inactive_file 5\nhierarchical_memory_limit 8000\ntotal_inactive_file 400");
	assert_true(cgroup_memory(root) == 7400);
	assert_true(placement_available(root, -1) == 7400);
	write_file("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable: 2 kB\n");
	assert_true(placement_available(root, -1) == 2048);
}

/* Two groups of cgroup v1 in one line, the name of one a part of the other's. */
static void test_cpuset(void **state)
{
	cpu_set_t m = mask_of(0xff);

	(void)state;
	write_file("/proc/self/cgroup", "2:cpu,cpuset:/x\n0::/");
	write_file("/sys/fs/cgroup/cpuset/x/cpuset.effective_cpus", "0-2");
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_core, 3);
	m = mask_of(0x18); /* a cpuset that leaves nothing of the mask is not ours */
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_core, 2);
}

/* Without a list of those online, a CPU that lacks what the others have is off. */
static void test_offline_without_a_list(void **state)
{
	cpu_set_t m = mask_of(0x3ff);

	(void)state;
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_cpu, 8);
	assert_int_equal(topology_read(&t, root, NULL), 0);
	assert_int_equal(t.n_cpu, 8);
	write_file("/sys/devices/system/cpu/online", "0-8");
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_core, 5);
	assert_int_equal(topology_read(&t, "/nonexistent", NULL), -ENOENT);
}

/* Fractions of the best, and nothing where all that is allowed is slow. */
static void test_capacity(void **state)
{
	cpu_set_t m = mask_of(0xff);
	char path[128];

	(void)state;
	for (int c = 0; c < 8; c++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpu_capacity", c);
		write_file(path, c % 4 == 3 ? "819" : c % 4 == 2 ? "800" : "1024");
	}
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_core, 3);
	assert_int_equal(t.n_slow, 1);
	assert_int_equal(t.core[3].cpu, 2);
	assert_int_equal(t.core[3].tier, TIER_SLOW);
	m = mask_of(0x44);
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.n_core, 1);
	assert_int_equal(t.n_slow, 0);
}

/* Each of its own CPU: none counts as another. The nodes are one hop apart from their neighbours. */
static void test_many_nodes(void **state)
{
	enum { N = 150 };
	char path[128], text[8 * N];
	struct layout l;
	struct error e;
	cpu_set_t m;

	(void)state;
	CPU_ZERO(&m);
	snprintf(text, sizeof(text), "0-%d", N - 1);
	write_file("/sys/devices/system/node/online", text);
	write_file("/sys/devices/system/cpu/online", text);
	for (int i = 0; i < N; i++) {
		int n = 0;

		CPU_SET(i, &m);
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", i);
		snprintf(text, sizeof(text), "%d", i);
		write_file(path, text);
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", i);
		write_file(path, text);
		for (int k = 0; k < N; k++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%d ", 10 + abs(i - k));
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/distance", i);
		write_file(path, text);
	}
	write_file("/sys/devices/system/node/node140/meminfo", "Node 140 MemTotal: 0 kB");
	assert_int_equal(topology_read(&t, root, &m), 0);
	assert_int_equal(t.numa.n, N);
	assert_int_equal(t.n_core, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(numa_of_cpu(&t.numa, i), i);
		assert_int_equal(t.numa.node[i].home, i == 140 ? 139 : i);
		assert_int_equal(t.n_core_on[i], 1);
		assert_int_equal(t.numa.distance[i][N - 1], 10 + N - 1 - i);
	}
	assert_int_equal(layout_make(&l, &t, 0, 0, &e), 0);
	assert_int_equal(l.n_worker, N);
	assert_int_equal(l.n_node, 8);
	for (int i = 0; i < l.n_node; i++)
		assert_true(l.node[i].n_worker >= N / 8 && l.node[i].n_worker <= N / 8 + 2);
}

static void test_this_machine(void **state)
{
	char why[128] = "";

	(void)state;
	assert_int_equal(topology_read(&t, "", NULL), 0);
	assert_int_equal(topology_default_threads(), t.n_thread);
	topology_why(&t, why, sizeof(why));
	assert_true(strlen(why) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cores_by_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mask_takes_the_first_sibling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota_v1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpuset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offline_without_a_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capacity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_nodes, setup, teardown),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
