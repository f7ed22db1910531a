/* Finds the settings of this host that slow gyre down, and names the command that mends each. Reads /proc and /sys; changes nothing. */
#include "tools/tool.h"

#include "daemon/config/check.h"
#include "daemon/machine/busy.h"
#include "daemon/machine/cgroup.h"
#include "daemon/machine/layout_text.h"
#include "daemon/machine/placement.h"
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
	char is[400];
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

/* "512/1024", and where there are several nodes, of each: "512/1024 (node 0: 512/512, node 1: 0/512)". */
static void list_huge(char *text, size_t size, const struct numa *m)
{
	unsigned long long total = 0, idle = 0;
	size_t n;

	for (int i = 0; i < m->n; i++) {
		total += m->node[i].huge_2m.total;
		idle += m->node[i].huge_2m.free;
	}
	n = (size_t)snprintf(text, size, "%llu of %llu", idle, total);
	for (int i = 0; m->n > 1 && i < m->n && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%snode %d: %llu of %llu%s", i ? ", " : " (", m->node[i].id,
				      (unsigned long long)m->node[i].huge_2m.free,
				      (unsigned long long)m->node[i].huge_2m.total, i + 1 < m->n ? "" : ")");
}

static void look_huge(struct finding *f)
{
	static struct topology t;
	char text[sizeof(f->is) - 64];
	bool is_any = false;

	topology_read(&t, "", NULL);
	for (int i = 0; i < t.numa.n; i++)
		is_any = is_any || t.numa.node[i].huge_2m.total;
	list_huge(text, sizeof(text), &t.numa);
	if (is_any)
		found(f, STATE_OK, "", "free of 2 MiB: %s", text);
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
	char why[128];

	topology_read(&t, "", NULL);
	topology_why(&t, why, sizeof(why));
	if (t.n_core < 2)
		found(f, STATE_HINT, "two cores or more, so that gyred and a client can both spin", "1 core; %s", why);
	else
		found(f, STATE_OK, "", "%u cores of %u hardware threads; default %s", t.n_core, t.n_cpu, why);
}

/* The first node of the layout whose memory has none of the 2 MiB pages that others have; -1: none such. */
static int node_without_huge(const struct topology *t, const struct layout *l)
{
	int without = -1, n_with = 0;

	for (int i = 0; i < l->n_node; i++) {
		int k = numa_index(&t->numa, l->node[i].os_node);

		if (k < 0)
			continue;
		if (t->numa.node[k].huge_2m.total)
			n_with++;
		else if (without < 0)
			without = t->numa.node[k].id;
	}
	return n_with ? without : -1;
}

/* The first node with CPUs for us whose memory is another's, -1: none. */
static int node_without_memory(const struct topology *t)
{
	for (int i = 0; i < t->numa.n; i++)
		if (t->numa.node[i].home != i && layout_count_on(t, i).n_cpu)
			return t->numa.node[i].id;
	return -1;
}

static void look_numa(struct finding *f)
{
	static struct topology t;
	static struct layout l;
	struct error e = { "" };
	int bare, small;

	topology_read(&t, "", NULL);
	if (layout_make(&l, &t, 0, 0, &e) < 0) {
		found(f, STATE_BAD, "", "%s", e.text);
		return;
	}
	bare = node_without_huge(&t, &l);
	small = node_without_memory(&t);
	if (small >= 0)
		found(f, STATE_HINT,
		      "memory modules at every node, and in cpuset.mems; gyre plan --topology shows more",
		      "%s; node %d has no memory for its threads", l.why_node, small);
	else if (bare >= 0)
		found(f, STATE_HINT, "echo N > /sys/devices/system/node/nodeX/hugepages/hugepages-2048kB/nr_hugepages",
		      "%s; node %d has none of the 2 MiB pages that others have", l.why_node, bare);
	else
		found(f, STATE_OK, "", "%s", l.why_node);
}

static void look_isa(struct finding *f)
{
	enum kernels_isa best = kernels_preferred(kernels_flags());
	char missing[KERNELS_LIST_BYTES];

	if (best == ISA_REF)
		found(f, STATE_BAD, "another CPU; in a virtual machine: CPU type host",
		      "no %s: reference kernels only, very slow",
		      kernels_missing_names(missing, sizeof(missing), ISA_BASE));
	else
		found(f, STATE_OK, "", "%s", kernels_isa_name(best));
}

static void look_uring(struct finding *f)
{
	char line[32];

	/* Called with nothing: EFAULT or EINVAL where it exists, ENOSYS or EPERM where it is off. */
	if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM)) {
		read_line("/proc/sys/kernel/io_uring_disabled", line, sizeof(line));
		found(f, STATE_HINT,
		      "sysctl kernel.io_uring_disabled=0; in a container: allow io_uring in its seccomp profile",
		      "%s (kernel.io_uring_disabled=%s): gyred does without, and loads from disk more slowly",
		      strerror(errno), *line ? line : "?");
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

static void look_cgroup_cpu(struct finding *f)
{
	uint32_t n = cgroup_quota("");
	long n_cpu = sysconf(_SC_NPROCESSORS_ONLN);

	if (n && n < (uint32_t)n_cpu)
		found(f, STATE_HINT, "systemctl set-property gyred.service CPUQuota= (none), or docker without --cpus",
		      "CPU time of %u of %ld CPUs: gyred takes as many threads", n, n_cpu);
	else
		found(f, STATE_OK, "", "no quota of CPU time");
}

static void look_memory(struct finding *f)
{
	size_t group = cgroup_memory(""), left = placement_available("", -1);

	if (left < ((size_t)1 << 30))
		found(f, STATE_HINT,
		      group == left ? "systemctl set-property gyred.service MemoryMax=infinity, or docker --memory"
				    : "free memory: ps -eo rss,comm --sort=-rss | head",
		      "%zu MiB left%s: weights and KV pool must fit in", left >> 20,
		      group == left ? " within the cgroup's limit" : "");
	else
		found(f, STATE_OK, "", "%zu MiB left%s", left >> 20, group == left ? ", the cgroup's limit" : "");
}

static void look_balancing(struct finding *f)
{
	char line[32];

	if (read_line("/proc/sys/kernel/numa_balancing", line, sizeof(line)) && strcmp(line, "0"))
		found(f, STATE_HINT, "sysctl kernel.numa_balancing=0",
		      "on: pages are unmapped to see who uses them, and each costs a step a fault");
	else
		found(f, STATE_OK, "", *line ? "off" : "this kernel has none");
}

#define BUSY_LOOK_US 300000

static void look_busy(struct finding *f)
{
	struct busy from, to;
	char text[256];

	if (!busy_read(&from, "")) {
		found(f, STATE_OK, "", "/proc/stat says nothing");
		return;
	}
	usleep(BUSY_LOOK_US);
	if (busy_read(&to, "") && busy_explain(&from, &to, text, sizeof(text)))
		found(f, STATE_HINT,
		      "systemctl set-property gyred.service AllowedCPUs=LIST, cores that others leave alone; top -b -n "
		      "1 "
		      "| head -15 shows who",
		      "%s", text);
	else
		found(f, STATE_OK, "", "others leave the CPUs alone");
}

static void look_seccomp(struct finding *f)
{
	char line[256] = "";

	if (read_line("/proc/sys/kernel/seccomp/actions_avail", line, sizeof(line)) && strstr(line, "trap"))
		found(f, STATE_OK, "", "gyred serves behind a filter of system calls");
	else
		found(f, STATE_HINT,
		      "a kernel with CONFIG_SECCOMP_FILTER=y; gyred --seccomp 0 says that it is wanted so",
		      "this kernel has no filters: gyred serves without");
}

/* What gyred would say of its configuration; NULL: of the one that is installed, if it is. */
static void look_config(struct finding *f, const char *path)
{
	static struct config c;
	char *argv[] = { (char *)"gyred", (char *)"--config", (char *)(path ? path : CONFIG_FILE), NULL };
	struct error e = { "" };
	int r;

	if (!path && access(CONFIG_FILE, F_OK) < 0) {
		found(f, STATE_OK, "", "none is installed as " CONFIG_FILE);
		return;
	}
	r = config_parse(&c, 3, argv, &e);
	if (r >= 0)
		r = check_config(&c, &e);
	if (r >= 0)
		r = check_memory(&c, "", &e);
	if (r >= 0)
		r = check_files(&c, true, &e);
	if (r < 0)
		found(f, STATE_BAD, "as it says; gyred --check --config FILE tries it again", "%s", e.text);
	else
		found(f, STATE_OK, "", "gyred would start with %s", argv[2]);
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
	{ "CPU quota", look_cgroup_cpu },
	{ "memory", look_memory },
	{ "NUMA balancing", look_balancing },
	{ "seccomp", look_seccomp },
	{ "busy host", look_busy },
};

/* Says it, and returns whether it is bad. */
static bool report(const struct args *a, json_t *list, const char *check, const struct finding *f)
{
	static const char *const name[] = { "ok", "hint", "bad" };

	json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "check", check, "state", name[f->state], "is", f->is,
					      "fix", f->fix));
	if (!a->json) {
		printf("%-5s %-23s %s\n", name[f->state], check, f->is);
		if (*f->fix)
			printf("      %-23s fix: %s\n", "", f->fix);
	}
	return f->state == STATE_BAD;
}

int doctor_main(const struct args *a)
{
	json_t *list = json_array();
	bool is_bad = false;
	struct finding f;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		checks[i].look(&f);
		is_bad |= report(a, list, checks[i].name, &f);
	}
	look_config(&f, a->n_word ? a->word[0] : NULL);
	is_bad |= report(a, list, "configuration", &f);
	if (a->json)
		print_json(list);
	else
		json_decref(list);
	return is_bad ? TOOL_FAILED : TOOL_OK;
}
