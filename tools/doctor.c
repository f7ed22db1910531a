/* What of this host slows gyre down, and the command that mends it. Reads /proc and /sys; changes nothing. */
#include "tools/tool.h"

#include "daemon/util/topology.h"
#include "kernels/kernels.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum state { STATE_OK, STATE_HINT, STATE_BAD };

struct finding {
	enum state state;
	char is[200];
	const char *fix; /* "" where there is nothing to do */
};

static void found(struct finding *f, enum state state, const char *fix, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void found(struct finding *f, enum state state, const char *fix, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->is, sizeof(f->is), fmt, ap);
	va_end(ap);
	f->state = state;
	f->fix = fix;
}

static bool read_line(const char *path, char *line, size_t n)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, (int)n, f);

	if (f)
		fclose(f);
	if (!ok)
		*line = 0;
	line[strcspn(line, "\n")] = 0;
	return ok;
}

/* "always [madvise] never" -> "madvise" */
static const char *chosen(char *line)
{
	char *open = strchr(line, '['), *shut = open ? strchr(open, ']') : NULL;

	if (!shut)
		return line;
	*shut = 0;
	return open + 1;
}

static void look_huge(struct finding *f)
{
	char total[64], idle[64];

	read_line("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", total, sizeof(total));
	read_line("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", idle, sizeof(idle));
	if (atoi(total) > 0)
		found(f, STATE_OK, "", "%s of 2 MiB reserved, %s free", total, idle);
	else
		found(f, STATE_HINT, "sysctl vm.nr_hugepages=N, N x 2 MiB covering weights and KV pool",
		      "none reserved; gyred takes transparent ones");
}

static void look_thp(struct finding *f)
{
	char line[128];
	bool is_there = read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line));
	const char *is = chosen(line);

	if (!is_there)
		found(f, STATE_HINT, "", "this kernel has none");
	else if (!strcmp(is, "never"))
		found(f, STATE_BAD, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled", "never");
	else
		found(f, STATE_OK, "", "%s", is);
}

static void look_thp_shmem(struct finding *f)
{
	char line[128];
	const char *is;

	read_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", line, sizeof(line));
	is = chosen(line);
	if (!strcmp(is, "never") || !strcmp(is, "deny") || !*is)
		found(f, STATE_HINT, "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled",
		      "%s; weights go to anonymous memory", *is ? is : "absent");
	else
		found(f, STATE_OK, "", "%s", is);
}

static void look_memlock(struct finding *f)
{
	struct rlimit r;

	getrlimit(RLIMIT_MEMLOCK, &r);
	if (r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= (64u << 20))
		found(f, STATE_OK, "", r.rlim_cur == RLIM_INFINITY ? "unlimited" : "%llu MiB",
		      (unsigned long long)r.rlim_cur >> 20);
	else
		found(f, STATE_HINT, "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited", "%llu KiB",
		      (unsigned long long)r.rlim_cur >> 10);
}

static void look_cores(struct finding *f)
{
	static struct topology t;
	char why[128] = "";

	topology_read(&t, "", NULL);
	cpu_default_threads(why, sizeof(why));
	if (t.n_core < 2)
		found(f, STATE_HINT, "two cores or more, so that gyred and a client can both spin", "1 core; %s", why);
	else
		found(f, STATE_OK, "", "%u cores of %u hardware threads; default %s", t.n_core, t.n_cpu, why);
}

static void look_numa(struct finding *f)
{
	static struct topology t;

	topology_read(&t, "", NULL);
	if (t.n_node > 1)
		found(f, STATE_HINT, "numactl --cpunodebind=0 --membind=0 gyred ..., where the model fits one node",
		      "%u nodes", t.n_node);
	else
		found(f, STATE_OK, "", "one node");
}

static void look_isa(struct finding *f)
{
	uint32_t have = kernels_available();
	enum kernels_isa best = ISA_REF;

	for (int i = 0; i < ISA_MAX; i++)
		if (have & (1u << i))
			best = (enum kernels_isa)i;
	if (best == ISA_REF)
		found(f, STATE_BAD, "a CPU with AVX2; in a virtual machine: CPU type host",
		      "no AVX2: reference kernels only, very slow");
	else
		found(f, STATE_OK, "", "%s", kernels_isa_name(best));
}

static void look_uring(struct finding *f)
{
	char line[32];

	/* Called with nothing: EFAULT or EINVAL where it exists, ENOSYS or EPERM where it is off. */
	if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM)) {
		read_line("/proc/sys/kernel/io_uring_disabled", line, sizeof(line));
		found(f, STATE_BAD,
		      "sysctl kernel.io_uring_disabled=0; in a container: allow io_uring in its seccomp profile",
		      "%s (kernel.io_uring_disabled=%s)", strerror(errno), *line ? line : "?");
	} else {
		found(f, STATE_OK, "", "works");
	}
}

static void look_governor(struct finding *f)
{
	char line[64];

	if (!read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line, sizeof(line)))
		found(f, STATE_OK, "", "none: the host or the hardware decides");
	else if (strcmp(line, "performance"))
		found(f, STATE_HINT, "cpupower frequency-set -g performance", "%s", line);
	else
		found(f, STATE_OK, "", "%s", line);
}

static const struct check {
	const char *name;
	void (*look)(struct finding *f);
} checks[] = {
	{ "huge pages", look_huge },
	{ "transparent huge pages", look_thp },
	{ "THP of shared memory", look_thp_shmem },
	{ "memlock limit", look_memlock },
	{ "cores", look_cores },
	{ "NUMA", look_numa },
	{ "kernels", look_isa },
	{ "io_uring", look_uring },
	{ "CPU governor", look_governor },
};

int doctor_main(const struct args *a)
{
	static const char *const name[] = { "ok", "hint", "bad" };
	json_t *list = json_array();
	bool is_bad = false;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct finding f;

		checks[i].look(&f);
		is_bad = is_bad || f.state == STATE_BAD;
		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "check", checks[i].name, "state",
						      name[f.state], "is", f.is, "fix", f.fix));
		if (a->json)
			continue;
		printf("%-5s %-23s %s\n", name[f.state], checks[i].name, f.is);
		if (*f.fix)
			printf("      %-23s fix: %s\n", "", f.fix);
	}
	if (a->json)
		print_json(list);
	else
		json_decref(list);
	return is_bad ? TOOL_FAILED : TOOL_OK;
}
