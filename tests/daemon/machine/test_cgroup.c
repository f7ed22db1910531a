/*
 * Why: what a control group grants is told in two versions, in names that depend on who looks, at places that a mount table names. A
 * limit that is overlooked is a daemon that the kernel kills, or one whose threads wait for each other; and one that is not ours halves
 * a machine for nothing. All forms are replayed from files; those that this machine can make are made.
 */
#include "daemon/machine/cgroup.h"
#include "daemon/machine/cpulist.h"
#include "daemon/machine/placement.h"
#include "daemon/machine/topology.h"
#include "tests/util/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (1ull << 20)

static char root[64];

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/gyre-cgroup-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sysfs_remove(root);
	return 0;
}

/* ---- replayed ---- */

#define V2(root, point) "41 31 0:38 " root " " point " rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
#define V1(root, point, controllers) \
	"35 31 0:32 " root " " point " rw,relatime shared:9 master:3 - cgroup cgroup rw," controllers "\n"
#define OTHER "22 1 8:1 / / rw - ext4 /dev/root rw\n31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"

/* Of 100 MiB 30 are used, so 70 are left, or 80 where 10 are used by files. */
struct form {
	const char *name, *group, *mounts;
	struct {
		const char *path, *text;
	} file[12];
	uint64_t mib; /* left; 0: no limit */
	uint32_t quota;
	const char *cpus; /* NULL: none are told */
};

static const struct form forms[] = {
	{ "v2, the limits of an ancestor",
	  "0::/user.slice/gyre.service/sub",
	  OTHER V2("/", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/user.slice/gyre.service/sub/memory.max", "max" },
	    { "/sys/fs/cgroup/user.slice/gyre.service/sub/memory.high", "max" },
	    { "/sys/fs/cgroup/user.slice/gyre.service/sub/memory.current", "1048576" },
	    { "/sys/fs/cgroup/user.slice/memory.max", "104857600" },
	    { "/sys/fs/cgroup/user.slice/memory.current", "31457280" },
	    { "/sys/fs/cgroup/user.slice/memory.stat", "anon 3\ninactive_file 10485760\nactive_file 0" },
	    { "/sys/fs/cgroup/user.slice/gyre.service/cpu.max", "300000 100000" },
	    { "/sys/fs/cgroup/user.slice/cpu.max", "250000 100000" },
	    { "/sys/fs/cgroup/user.slice/gyre.service/cpuset.cpus.effective", "2-5" },
	    { "/sys/fs/cgroup/cpuset.cpus.effective", "0-7" } },
	  80,
	  2,
	  "2-5" },
	{ "v2, past memory.high all crawl",
	  "0::/a",
	  V2("/", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/a/memory.max", "209715200" },
	    { "/sys/fs/cgroup/a/memory.high", "104857600" },
	    { "/sys/fs/cgroup/a/memory.current", "31457280" } },
	  70,
	  0,
	  NULL },
	{ "v2, memory.high alone",
	  "0::/a",
	  V2("/", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/a/memory.max", "max" },
	    { "/sys/fs/cgroup/a/memory.high", "104857600" },
	    { "/sys/fs/cgroup/a/memory.current", "31457280" } },
	  70,
	  0,
	  NULL },
	{ "v2 in a namespace of its own: all is /",
	  "0::/",
	  OTHER V2("/", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/memory.max", "104857600" },
	    { "/sys/fs/cgroup/memory.current", "31457280" },
	    { "/sys/fs/cgroup/cpu.max", "150000 100000" },
	    { "/sys/fs/cgroup/cpuset.cpus.effective", "0,3" } },
	  70,
	  1,
	  "0,3" },
	{ "v2, the host's path and the container's mount",
	  "0::/system.slice/docker-0123.scope/app",
	  V2("/system.slice/docker-0123.scope", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/memory.max", "104857600" },
	    { "/sys/fs/cgroup/memory.current", "31457280" },
	    { "/sys/fs/cgroup/app/cpu.max", "400000 100000" },
	    { "/sys/fs/cgroup/cpu.max", "max 100000" } },
	  70,
	  4,
	  NULL },
	{ "v2, a mount from above the namespace",
	  "0::/",
	  V2("/../..", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/memory.max", "104857600" }, { "/sys/fs/cgroup/memory.current", "31457280" } },
	  70,
	  0,
	  NULL },
	{ "v2, a process outside its namespace: what the mount shows is not above it",
	  "0::/../other",
	  V2("/", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/memory.max", "104857600" },
	    { "/sys/fs/cgroup/memory.current", "31457280" },
	    { "/sys/fs/cgroup/cpu.max", "100000 100000" } },
	  0,
	  0,
	  NULL },
	{ "v2, another's group bound into this file system",
	  "0::/mine",
	  V2("/others", "/srv/others") V2("/", "/sys/fs/cgroup"),
	  { { "/srv/others/memory.max", "1048576" },
	    { "/srv/others/memory.current", "0" },
	    { "/srv/others/cpu.max", "100000 100000" },
	    { "/sys/fs/cgroup/mine/memory.max", "104857600" },
	    { "/sys/fs/cgroup/mine/memory.current", "31457280" } },
	  70,
	  0,
	  NULL },
	{ "v2, one name is the beginning of another",
	  "0::/gyre-two",
	  V2("/gyre", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/memory.max", "1048576" }, { "/sys/fs/cgroup/memory.current", "0" } },
	  0,
	  0,
	  NULL },
	{ "v2 at a place of its own, with a space",
	  "0::/a",
	  V2("/", "/run/my\\040cgroup"),
	  { { "/run/my cgroup/a/memory.max", "104857600" }, { "/run/my cgroup/a/memory.current", "31457280" } },
	  70,
	  0,
	  NULL },
	{ "v2, a group that has been removed",
	  "0::/a/b (deleted)",
	  V2("/", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/a/memory.max", "104857600" }, { "/sys/fs/cgroup/a/memory.current", "31457280" } },
	  70,
	  0,
	  NULL },
	{ "v2, more is used than is allowed, and files are counted twice",
	  "0::/a",
	  V2("/", "/sys/fs/cgroup"),
	  { { "/sys/fs/cgroup/a/memory.max", "1048576" },
	    { "/sys/fs/cgroup/a/memory.current", "2097152" },
	    { "/sys/fs/cgroup/a/memory.stat", "inactive_file 1048576\nactive_file 1048576" },
	    { "/sys/fs/cgroup/memory.max", "rubbish" },
	    { "/sys/fs/cgroup/memory.current", "rubbish" },
	    { "/sys/fs/cgroup/a/cpu.max", "rubbish" } },
	  1,
	  0,
	  NULL },
	{ "both versions: v2 without controllers",
	  "4:memory:/x\n3:cpuset:/x\n2:cpuacct:/\n1:cpu:/x\n0::/x",
	  OTHER V1("/", "/sys/fs/cgroup/cpu", "cpu") V1("/", "/sys/fs/cgroup/cpuset", "cpuset")
		  V1("/", "/sys/fs/cgroup/memory", "memory") V2("/", "/sys/fs/cgroup/unified"),
	  { { "/sys/fs/cgroup/unified/x/cgroup.procs", "1" },
	    { "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "104857600" },
	    { "/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "31457280" },
	    { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712" },
	    { "/sys/fs/cgroup/memory/memory.usage_in_bytes", "31457280" },
	    { "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1" },
	    { "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000" },
	    { "/sys/fs/cgroup/cpuset/x/cpuset.effective_cpus", "4-7" } },
	  70,
	  0,
	  "4-7" },
	{ "both versions: memory on v2",
	  "1:cpu,cpuacct:/x\n0::/x",
	  V1("/", "/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct") V2("/", "/sys/fs/cgroup/unified"),
	  { { "/sys/fs/cgroup/unified/x/memory.max", "104857600" },
	    { "/sys/fs/cgroup/unified/x/memory.current", "31457280" },
	    { "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000" }, /* no link "cpu" to it */
	    { "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000" } },
	  70,
	  1,
	  NULL },
	{ "v1 in a container: ancestors that it cannot see",
	  "4:memory:/docker/0123\n3:cpuset:/docker/0123",
	  V1("/docker/0123", "/sys/fs/cgroup/memory", "memory") V1("/docker/0123", "/sys/fs/cgroup/cpuset", "cpuset"),
	  { { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712" },
	    { "/sys/fs/cgroup/memory/memory.usage_in_bytes", "31457280" },
	    { "/sys/fs/cgroup/memory/memory.stat", "inactive_file 7\nhierarchical_memory_limit "
						   "104857600\ntotal_inactive_file 10485760\ntotal_active_file 0" },
	    { "/sys/fs/cgroup/cpuset/cpuset.cpus", "1-2" } }, /* before it told what is effective */
	  80,
	  0,
	  "1-2" },
	{ "v1, the quota of an ancestor",
	  "1:cpu:/a/b",
	  V1("/", "/sys/fs/cgroup/cpu", "cpu"),
	  { { "/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "-1" },
	    { "/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000" },
	    { "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000" },
	    { "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000" } },
	  0,
	  3,
	  NULL },
	{ "nothing is mounted", "0::/a", OTHER, { { "/sys/fs/cgroup/a/memory.max", "1" } }, 0, 0, NULL },
	{ "a mount table that is none",
	  "0::/a",
	  "rubbish\n1 2 3\n41 31 0:38 / /x rw - cgroup2\n",
	  { { NULL, NULL } },
	  0,
	  0,
	  NULL },
};

static void check(const struct form *f)
{
	cpu_set_t cpus, expected;
	size_t left = cgroup_memory(root);
	uint32_t quota = cgroup_quota(root);
	int r = cgroup_cpus(&cpus, root);

	if (left != (f->mib ? f->mib * MIB : SIZE_MAX))
		fail_msg("%s: %zu bytes are left, not %llu MiB", f->name, left, (unsigned long long)f->mib);
	if (quota != f->quota)
		fail_msg("%s: a quota of %u, not %u", f->name, quota, f->quota);
	if (r != (f->cpus ? 0 : -ENOENT))
		fail_msg("%s: cpus %d", f->name, r);
	if (!f->cpus)
		return;
	cpulist_parse(&expected, f->cpus);
	if (!CPU_EQUAL(&cpus, &expected))
		fail_msg("%s: other CPUs than %s", f->name, f->cpus);
}

static void each_form_is_read(void **state)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *f = &forms[i];

		setup(state);
		sysfs_write(root, "/proc/self/cgroup", f->group);
		sysfs_write(root, "/proc/self/mountinfo", f->mounts);
		for (size_t k = 0; k < sizeof(f->file) / sizeof(f->file[0]) && f->file[k].path; k++)
			sysfs_write(root, f->file[k].path, f->file[k].text);
		check(f);
		teardown(state);
	}
}

/* As in Kubernetes: many hierarchies, each with a long path; the one that counts comes last. */
static void a_long_table_is_read_to_its_end(void **state)
{
	static char text[16384], path[300];
	size_t n = 0;

	setup(state);
	memset(path, 'p', sizeof(path) - 1);
	for (int i = 0; i < 30; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%d:name=h%d:/%s\n", 50 - i, i, path);
	snprintf(text + n, sizeof(text) - n, "0::/%s", path);
	sysfs_write(root, "/proc/self/cgroup", text);
	sysfs_write(root, "/sys/fs/cgroup/memory.max", "104857600");
	sysfs_write(root, "/sys/fs/cgroup/memory.current", "31457280");
	n = 0;
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "9 1 0:%d / /mnt/%d/%.100s rw - overlay o rw\n", i, i,
				      path);
	snprintf(text + n, sizeof(text) - n, V2("/", "/sys/fs/cgroup"));
	sysfs_write(root, "/proc/self/mountinfo", text);
	assert_true(cgroup_memory(root) == 70 * MIB);
	assert_true(placement_available(root, -1) == 70 * MIB); /* what the KV pool is sized by */
	teardown(state);
}

/* ---- real ---- */

static bool put(const char *dir, const char *file, const char *text)
{
	char path[256];
	int fd;
	bool is_done;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	is_done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return is_done;
}

/* In the child: in a group of dir, what does the machine grant? 0: what it should. */
static int look_inside(const char *dir, uint64_t most, uint32_t quota)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		size_t left;
		struct topology t;

		if (!put(dir, "cgroup.procs", "0"))
			_exit(2);
		left = cgroup_memory("");
		if (most && (left > most || left < most / 4))
			_exit(3);
		if (quota && cgroup_quota("") != quota)
			_exit(4);
		if (quota && (topology_read(&t, "", NULL) || t.n_thread > quota))
			_exit(5);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* Two groups, one in the other, below `base`: the limits are the outer one's. 1: not here. */
static int try_real(const char *base, const char *enable, const char *const *limit, uint64_t most, uint32_t quota)
{
	char outer[160], inner[192];
	int r = 1;

	snprintf(outer, sizeof(outer), "%s/gyre-nest-%d", base, (int)getpid());
	snprintf(inner, sizeof(inner), "%s/inner", outer);
	if (enable)
		(void)put(base, "cgroup.subtree_control", enable);
	if (mkdir(outer, 0755) < 0)
		return 1;
	if (enable)
		(void)put(outer, "cgroup.subtree_control", enable);
	if (put(outer, limit[0], limit[1]) && mkdir(inner, 0755) == 0) {
		r = look_inside(inner, most, quota);
		rmdir(inner);
	}
	rmdir(outer);
	return r;
}

static void expect_real(const char *what, int r)
{
	if (r == 1)
		printf("skip: no %s can be made here (needs root, a writable hierarchy, and the controller in it)\n",
		       what);
	else if (r)
		fail_msg("%s: the limit of the outer group is not seen within (%d)", what, r);
}

static void limits_of_real_v1_groups_are_seen(void **state)
{
	static const char *const memory[] = { "memory.limit_in_bytes", "104857600" }, *const cpu[] = {
		"cpu.cfs_quota_us", "150000"
	};

	(void)state;
	expect_real("memory group of version 1", try_real("/sys/fs/cgroup/memory", NULL, memory, 100 * MIB, 0));
	expect_real("cpu group of version 1", try_real("/sys/fs/cgroup/cpu", NULL, cpu, 0, 1));
}

/* Mounted where it may be already, or else at a place of our own, as on a host whose controllers are all free. */
static void limits_of_real_v2_groups_are_seen(void **state)
{
	static const char *const max[] = { "memory.max", "104857600" }, *const high[] = { "memory.high", "104857600" },
				 *const cpu[] = { "cpu.max", "150000 100000" };
	char place[64] = "/tmp/gyre-cgroup2-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(place));
	if (mount("none", place, "cgroup2", 0, NULL) < 0) {
		printf("skip: cgroup2 cannot be mounted: %s\n", strerror(errno));
		rmdir(place);
		return;
	}
	expect_real("memory group of version 2", try_real(place, "+memory", max, 100 * MIB, 0));
	expect_real("memory.high of version 2", try_real(place, "+memory", high, 100 * MIB, 0));
	expect_real("cpu group of version 2", try_real(place, "+cpu", cpu, 0, 1));
	umount(place);
	rmdir(place);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_form_is_read),
					    cmocka_unit_test(a_long_table_is_read_to_its_end),
					    cmocka_unit_test(limits_of_real_v1_groups_are_seen),
					    cmocka_unit_test(limits_of_real_v2_groups_are_seen) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
