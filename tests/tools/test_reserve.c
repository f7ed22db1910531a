/*
 * Why: huge pages are taken from everybody else on the node. gyre reserve must ask for what a load takes and not a page more, leave what
 * others have, and say why it got less. It runs on a tree of two NUMA nodes, whose files are what the kernel would see.
 */
#include "daemon/engine/demand.h"
#include "daemon/model/model.h"
#include "tests/util/sysfs.h"
#include "tests/util/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HUGE_OF "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/%s"
#define MODEL   "/tmp/gyre-test-reserve.gguf"

static char root[64], said[8192];

static void run(const char *options, int status)
{
	const char *build = getenv("BUILD");
	char command[512];
	FILE *f;
	size_t n;

	snprintf(command, sizeof(command), "%s/gyre reserve --root %s %s %s/gyred.conf 2>&1", build ? build : "build",
		 root, options, root);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = 0;
	n = (size_t)WEXITSTATUS(pclose(f));
	if ((int)n != status)
		fail_msg("exit %d: %s", (int)n, said);
}

static void set(int node, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), HUGE_OF, node, name);
	sysfs_write(root, path, text);
}

static unsigned long get(int node)
{
	char path[256], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s" HUGE_OF, root, node, "nr_hugepages");
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	return strtoul(text, NULL, 10);
}

static void hears(const char *words)
{
	if (!strstr(said, words))
		fail_msg("'%s' is not said, but: %s", words, said);
}

static int setup(void **state)
{
	(void)state;
	sysfs_make(root, sizeof(root), "tests/golden/topology/epyc-7763-2s-nps1.tree");
	sysfs_write(root, "/gyred.conf", "model = " MODEL "\nkv-bytes = 12M\n");
	assert_int_equal(tiny_write(MODEL, &tiny_served), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sysfs_remove(root);
	unlink(MODEL);
	return 0;
}

/* The weights, and half of 12 MiB for each node, by whole blocks. */
static void each_node_gets_what_is_its_own(void **state)
{
	(void)state;
	run("--dry-run", 0);
	hears("node 0: 4 pages of 2 MiB wanted");
	hears("4 would be reserved");
	assert_int_equal(get(0), 0);
	run("", 0);
	hears("node 1: 4 pages of 2 MiB wanted");
	assert_int_equal(get(0), 4);
	assert_int_equal(get(1), 4);
}

static void what_others_have_stays(void **state)
{
	(void)state;
	set(0, "nr_hugepages", "100");
	set(0, "free_hugepages", "1");
	set(1, "nr_hugepages", "100");
	set(1, "free_hugepages", "4");
	run("", 0);
	hears("1 free: 3 reserved");
	hears("4 free: nothing to do");
	assert_int_equal(get(0), 103);
	assert_int_equal(get(1), 100);
}

static void less_is_said_with_its_reason(void **state)
{
	char path[256];

	(void)state;
	/* An eighth of 64 MiB is to stay, 12 are free. */
	sysfs_write(root, "/sys/devices/system/node/node0/meminfo",
		    "Node 0 MemTotal:       65536 kB\nNode 0 MemFree:        12288 kB\n");
	run("", 0);
	hears("node 0: 4 pages");
	hears(": 2 reserved, and no more, for an eighth of memory stays");
	assert_int_equal(get(0), 2);
	/* A kernel that gives nothing. */
	snprintf(path, sizeof(path), "%s" HUGE_OF, root, 1, "nr_hugepages");
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	run("", 0);
	hears("0 reserved, for the kernel has no more in one piece");
	hears("hugepages=4");
	unlink(path);
}

static void a_mistake_is_told(void **state)
{
	(void)state;
	sysfs_write(root, "/gyred.conf", "model = " MODEL "\nkv-bites = 12M\n");
	run("", 1);
	hears("kv-bytes");
	sysfs_write(root, "/gyred.conf", "model = /none.gguf\n");
	run("", 1);
	hears("/none.gguf");
	assert_int_equal(get(0), 0);
}

/* Beside a load on as many nodes. */
static void the_figures_are_those_of_a_load(void **state)
{
	struct config_model own = { .file = MODEL, .kv_type = "q8_0", .n_ctx = 512, .kv_bytes = 1 << 20 };

	(void)state;
	for (int n_node = 1; n_node <= 2; n_node++) {
		struct layout l = { .n_worker = n_node, .n_node = n_node };
		const struct weights_options wo = { .plan = model_plan, .layout = &l };
		struct model_options mo = { 1, 1, 1, own.n_ctx, kvq_parse(own.kv_type) };
		struct weights *w = NULL;
		struct model *m = NULL;
		struct demand demand;
		struct kernels k;
		struct error e = { "" };

		for (int i = 0; i < n_node; i++)
			l.node[i] = (struct layout_node){ 1, -1 };
		kernels_select(&k, ISA_MAX);
		assert_int_equal(demand_read(&demand, &own, &l, &e), 0);
		assert_int_equal(weights_load(&w, MODEL, &wo, &e), 0);
		assert_int_equal(model_open(&m, w, &k, &mo, &e), 0);
		assert_int_equal(demand.n_node, n_node);
		assert_int_equal(demand.weights[0] + (n_node > 1 ? demand.weights[1] : 0), w->n_bytes);
		for (uint32_t i = 0; i < (uint32_t)n_node; i++)
			assert_int_equal(demand.kv[i], own.kv_bytes / model_kv_bytes(m) * model_kv_block_bytes(m, i));
		model_close(m);
		weights_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_node_gets_what_is_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(what_others_have_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(less_is_said_with_its_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mistake_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(the_figures_are_those_of_a_load, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
