/*
 * Why: that every page of a shard lies on its node, and that nothing lands elsewhere in silence, can only be seen on a kernel that
 * has the nodes. This program is the first process of such a machine (boot), with gyred beside it. On the host, with a folder as
 * its argument, it leaves there the model and what gyred says on it: the guest's answers must be the same bits.
 */
#include "tests/util/tiny.h"
#include "tests/system/numa/seen.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <numaif.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OPTIONS "--ctx 512 --batch-rows 64 --drain-seconds 0 "

/* Four heads of keys, so that four nodes can share them; shards of several hundred pages. */
static const struct tiny tiny = { .n_embd = 256,
				  .n_layer = 4,
				  .n_head = 8,
				  .n_head_kv = 4,
				  .head_dim = 32,
				  .n_ff = 2048,
				  .n_vocab = 272,
				  .n_ctx = 512,
				  .type_embd = QUANT_Q8_0,
				  .type_q = QUANT_Q4_1,
				  .type_k = QUANT_Q4_0,
				  .type_v = QUANT_Q5_0,
				  .type_o = QUANT_Q4_0,
				  .type_gate = QUANT_Q4_K,
				  .type_up = QUANT_Q4_0,
				  .type_down = QUANT_Q6_K,
				  .n_token = 272,
				  .is_tied = true };

static struct token want[STREAM];

static void the_doctor_sees_the_nodes(void **state)
{
	char *argv[32] = { (char *)"./gyre" };

	(void)state;
	gyred_spawn(argv, 1, "doctor", NULL);
	assert_int_equal(gyred_wait(), 0);
	if (!strstr(gyred_said, "2 nodes"))
		fail_msg("gyre doctor says:\n%s", gyred_said);
}

/* gyred with options, up and with its answer given, which is the host's. */
static void serve(const char *options, void (*before)(void))
{
	struct token got[STREAM];
	char all[256];

	snprintf(all, sizeof(all), OPTIONS "%s", options);
	gyred_start(all, before);
	gyred_stream(got);
	if (memcmp(got, want, sizeof(want)))
		fail_msg("gyred %s does not answer as on the host; it said:\n%s", options, gyred_said);
}

static void threads_are_pinned(int a, int b, int c, int d)
{
	int n[N_CPU];

	seen_pinned(n);
	if (n[0] != a || n[1] != b || n[2] != c || n[3] != d)
		fail_msg("threads pinned to CPU 0..3: %d %d %d %d, not %d %d %d %d; gyred said:\n%s", n[0], n[1], n[2],
			 n[3], a, b, c, d, gyred_said);
}

/* gyred counts the pages of each node itself, and says so. */
static void it_says_where_pages_are(int n_node, const char *what)
{
	for (int i = 0; i < n_node; i++) {
		char begin[48];
		const char *line, *count;
		int n_there = -1, n_page = 0;

		snprintf(begin, sizeof(begin), "%s of node %d: ", what, i);
		line = strstr(gyred_said, begin);
		count = line ? strstr(line + strlen(begin), ": ") : NULL;
		if (!count || sscanf(count, ": %d of %d pages there", &n_there, &n_page) != 2 || n_page < 1 ||
		    n_there != n_page)
			fail_msg("no line that says the pages of %s of node %d to be there; gyred said:\n%s", what, i,
				 gyred_said);
	}
}

/* Pools of n_node nodes of gyred's: each page of each where it belongs. is_named: they are memfds, which say what they are. */
static void pools_are_placed(int n_node, bool is_named)
{
	struct seen_pool p[SEEN_POOL];
	int n = seen_pools(p), n_named[2][4] = { { 0 } };
	uint64_t on[N_NODE] = { 0 };

	for (int i = 0; i < n; i++) {
		const char *weights = strstr(p[i].line, "gyre-weights."), *kv = strstr(p[i].line, "gyre-kv.");
		uint64_t all = 0;
		int node = p[i].bound;

		if (weights || kv) {
			int own = (weights ? weights[13] : kv[8]) - '0';

			assert_in_range(own, 0, n_node - 1);
			n_named[kv != NULL][own]++;
			node = own * 2 / n_node;
		}
		for (int k = 0; k < N_NODE; k++) {
			all += p[i].on[k];
			on[k] += p[i].on[k];
		}
		if (p[i].bound < 0 || p[i].bound != node || p[i].on[node] != all || all != p[i].bytes)
			fail_msg("%llu KiB of a pool of node %d, but: %s", (unsigned long long)p[i].bytes >> 10, node,
				 p[i].line);
	}
	it_says_where_pages_are(n_node, "weights");
	it_says_where_pages_are(n_node, "keys and values");
	if (!is_named) /* what belongs where is not known, but they divide the model evenly */
		assert_true(on[0] > 2 * on[1] / 3 && on[1] > 2 * on[0] / 3);
	for (int i = 0; is_named && i < n_node; i++)
		if (!n_named[0][i] || !n_named[1][i])
			fail_msg("node %d has %d pools of weights and %d of keys and values; gyred said:\n%s", i,
				 n_named[0][i], n_named[1][i], gyred_said);
}

static void said(const char *words)
{
	gyred_read_log();
	if (!strstr(gyred_said, words))
		fail_msg("gyred does not say '%s' but:\n%s", words, gyred_said);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("cannot write %s to %s", text, path);
	close(fd);
}

static void the_answer_is_the_hosts(void **state)
{
	(void)state;
	serve("", NULL);
	said("2 nodes: one for each NUMA node with cores and memory");
	pools_are_placed(2, false);
	threads_are_pinned(1, 1, 1, 1);
	assert_int_equal(gyred_stop(), 0);
	serve("--threads 1", NULL);
	assert_int_equal(gyred_stop(), 0);
}

#define THP_DIR "/sys/kernel/mm/transparent_hugepage/"

/* Pages that the machine has to give: huge ones reserved on each node, and whether there are transparent ones. */
static void pages(const char *node0, const char *node1, const char *anon, const char *shmem)
{
	write_file("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", node0);
	write_file("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", node1);
	write_file(THP_DIR "enabled", anon);
	write_file(THP_DIR "shmem_enabled", shmem);
}

static void every_page_is_on_its_node(void **state)
{
	static const struct {
		const char *huge, *anon, *shmem, *kind;
		bool is_named;
	} kind[] = {
		{ "24", "madvise", "advise", "2 MiB huge pages", true },
		{ "0", "madvise", "advise", "transparent huge pages", true },
		{ "0", "madvise", "never", "transparent huge pages (anonymous)", false },
		{ "0", "never", "never", "4 KiB pages", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		pages(kind[i].huge, kind[i].huge, kind[i].anon, kind[i].shmem);
		serve("--nodes 2 --kv-bytes 16M", NULL);
		said(kind[i].kind);
		pools_are_placed(2, kind[i].is_named);
		threads_are_pinned(1, 1, 1, 1);
		assert_int_equal(gyred_stop(), 0);
	}
}

static void any_number_of_nodes_gives_the_same_answer(void **state)
{
	(void)state;
	serve("--nodes 1", NULL);
	assert_int_equal(gyred_stop(), 0);
	serve("--nodes 2 --threads 2", NULL); /* a node's worker runs on that node */
	pools_are_placed(2, true);
	threads_are_pinned(1, 0, 1, 0);
	assert_int_equal(gyred_stop(), 0);
	serve("--nodes 4", NULL); /* two virtual ones on each */
	pools_are_placed(4, true);
	threads_are_pinned(1, 1, 1, 1);
	assert_int_equal(gyred_stop(), 0);
}

/* One on each node, with its own copy of the model there: as many bytes on both. */
static void replicas_have_a_copy_each(void **state)
{
	(void)state;
	serve("--replicas 2", NULL);
	said("replica 1: 2 threads on 1 of the nodes");
	pools_are_placed(1, false);
	threads_are_pinned(1, 1, 1, 1);
	assert_int_equal(gyred_stop(), 0);
}

/* gyred does not start: it says why, and what to do. */
static void refuses(const char *options, void (*before)(void), const char *why, const char *remedy)
{
	char all[256];

	snprintf(all, sizeof(all), OPTIONS "%s", options);
	gyred_start(all, before);
	assert_int_equal(gyred_wait(), 1);
	said(why);
	said(remedy);
	assert_null(strstr(gyred_said, "ready in"));
}

/* Memory of node 1 down to what is left, in MiB. */
static void *hog;
static size_t hog_bytes;

static void fill_node1(size_t left_mib)
{
	unsigned long node1 = 1ul << 1;
	char text[4096];
	FILE *f = fopen("/sys/devices/system/node/node1/meminfo", "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	hog_bytes = (seen_number(text, "MemFree:") << 10) - (left_mib << 20);
	hog = mmap(NULL, hog_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(hog != MAP_FAILED);
	assert_int_equal(mbind(hog, hog_bytes, MPOL_BIND, &node1, 64, 0), 0);
	assert_int_equal(madvise(hog, hog_bytes, MADV_POPULATE_WRITE), 0);
}

static int free_node1(void **state)
{
	if (hog)
		munmap(hog, hog_bytes);
	hog = NULL;
	return gyred_kill(state);
}

/* Other pages of its own rather than the other node's. */
static void a_node_without_huge_pages_takes_others(void **state)
{
	(void)state;
	pages("24", "0", "madvise", "advise");
	serve("--nodes 2", NULL);
	said("NUMA node 0 in 2 MiB huge pages");
	said("NUMA node 1 in transparent huge pages");
	pools_are_placed(2, true);
	assert_int_equal(gyred_stop(), 0);
	pages("24", "1", "madvise", "advise"); /* too few */
	serve("--nodes 2", NULL);
	pools_are_placed(2, true);
	assert_int_equal(gyred_stop(), 0);
	pages("0", "24", "never", "never");
	serve("--nodes 2", NULL);
	said("/sys/devices/system/node/node0/hugepages/"); /* the remedy for this node */
	pools_are_placed(2, true);
	assert_int_equal(gyred_stop(), 0);
}

static void a_node_without_memory_is_refused(void **state)
{
	(void)state;
	pages("0", "0", "madvise", "advise");
	fill_node1(80);
	refuses("--nodes 2 --kv-bytes 128M", NULL, "NUMA node 1", "--nodes");
	serve("--nodes 1 --kv-bytes 128M", NULL); /* the remedy */
	assert_int_equal(gyred_stop(), 0);
}

/* What a container's seccomp filter does by default. */
static void forbid_mbind(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mbind, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(f) / sizeof(f[0]), .filter = f };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(127);
}

static void where_memory_cannot_be_bound_nodes_are_refused(void **state)
{
	(void)state;
	refuses("--nodes 2", forbid_mbind, "NUMA node 0", "--nodes 1");
	serve("--nodes 1", forbid_mbind);
	assert_int_equal(gyred_stop(), 0);
	serve("--nodes 1 --threads 1", forbid_mbind); /* its one node's memory would be bound, were it allowed */
	said("may lie on another");
	assert_int_equal(gyred_stop(), 0);
	serve("", forbid_mbind); /* nobody asked for the two nodes there are */
	said("going on with 1 node");
	assert_int_equal(gyred_stop(), 0);
}

#define CPUSET "/sys/fs/cgroup/node0/"

static void enter_cpuset(void)
{
	int fd = open(CPUSET "cgroup.procs", O_WRONLY);

	if (write(fd, "0", 1) != 1)
		_exit(127);
}

static void a_container_of_one_node_has_one(void **state)
{
	(void)state;
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
	mkdir(CPUSET, 0755);
	write_file(CPUSET "cpuset.mems", "0");
	serve("", enter_cpuset);
	said("1 node: all threads use the memory of one NUMA node");
	assert_int_equal(gyred_stop(), 0);
	serve("--nodes 2", enter_cpuset);
	said("2 virtual nodes");
	assert_int_equal(gyred_stop(), 0);
	write_file(CPUSET "cpuset.cpus", "0-1");
	serve("", enter_cpuset);
	threads_are_pinned(1, 1, 0, 0);
	assert_int_equal(gyred_stop(), 0);
}

static int prepare(const char *dir)
{
	FILE *f;

	if (chdir(dir) || tiny_write(MODEL, &tiny))
		return 1;
	gyred_start(OPTIONS "--threads 1", NULL);
	gyred_stream(want);
	gyred_stop();
	unlink("log");
	f = fopen("want", "wb");
	return !f || fwrite(want, sizeof(want), 1, f) != 1 || fclose(f);
}

/* The first process of the machine has all of this to do itself. */
static int machine_setup(void **state)
{
	int console, r;
	FILE *f;

	(void)state;
	r = mount("proc", "/proc", "proc", 0, NULL) || mount("sys", "/sys", "sysfs", 0, NULL) ||
	    mount("dev", "/dev", "devtmpfs", 0, NULL) || mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	if (r)
		return r;
	console = open("/dev/ttyS1", O_WRONLY);
	dup2(console, 1);
	dup2(console, 2);
	f = fopen("want", "rb");
	return !f || fread(want, sizeof(want), 1, f) != 1 || fclose(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_doctor_sees_the_nodes, gyred_kill),
		cmocka_unit_test_teardown(the_answer_is_the_hosts, gyred_kill),
		cmocka_unit_test_teardown(every_page_is_on_its_node, gyred_kill),
		cmocka_unit_test_teardown(any_number_of_nodes_gives_the_same_answer, gyred_kill),
		cmocka_unit_test_teardown(replicas_have_a_copy_each, gyred_kill),
		cmocka_unit_test_teardown(a_node_without_huge_pages_takes_others, gyred_kill),
		cmocka_unit_test_teardown(a_node_without_memory_is_refused, free_node1),
		cmocka_unit_test_teardown(where_memory_cannot_be_bound_nodes_are_refused, gyred_kill),
		cmocka_unit_test_teardown(a_container_of_one_node_has_one, gyred_kill),
	};
	int r;

	if (getpid() != 1)
		return argc != 2 || prepare(argv[1]);
	r = cmocka_run_group_tests(tests, machine_setup, NULL);
	printf("guest: exit %d\n", r);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return r;
}
