/*
 * Why: where threads and memory go decides whether a machine of several nodes reads its weights near or far, and nobody who works on
 * this has such machines. tests/golden/topology/ holds models of them (NAME.tree, see tests/util/sysfs.h) and what is to follow
 * (NAME.txt): the topology, then a layout, or an error, for each line "$ [--threads N] [--nodes N]".
 */
#include "daemon/machine/layout_text.h"
#include "tests/util/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define FOLDER "tests/golden/topology/"

static struct topology t;
static struct layout l;

static long option(const char *words, const char *name)
{
	const char *at = strstr(words, name);

	return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

/* What must hold of every layout, whatever the machine. */
static void check_layout(int n_worker, int n_node)
{
	cpu_set_t used;
	int n = 0;

	CPU_ZERO(&used);
	assert_int_equal(l.n_worker, n_worker ? n_worker : (int)t.n_thread);
	assert_true(n_node ? l.n_node == n_node : l.n_node >= 1 && l.n_node <= NODE_MAX);
	for (int i = 0; i < l.n_node; i++) {
		assert_true(l.node[i].n_worker >= 1);
		n += l.node[i].n_worker;
	}
	assert_int_equal(n, l.n_worker);
	/* What of its CPUs others want is nothing that one engine's part would show. */
	for (int i = 0; i < l.n_node; i++)
		assert_int_equal(layout_part(&l, i, 1).is_crowded, (uint32_t)n > t.n_cpu);
	for (int i = 0; l.is_pinned && i < n; i++) {
		assert_false(CPU_ISSET(l.cpu[i], &used));
		CPU_SET(l.cpu[i], &used);
	}
}

static void print_layout(FILE *out, const char *words)
{
	int n_worker = (int)option(words, "--threads "), n_node = (int)option(words, "--nodes ");
	struct error e;
	int r = layout_make(&l, &t, n_worker, n_node, &e);

	fprintf(out, "\n%s\n", words);
	if (r < 0) {
		assert_int_equal(r, -EINVAL);
		fprintf(out, "%s\n", e.text);
		return;
	}
	check_layout(n_worker, n_node);
	layout_print(out, &l);
}

/* The text with the layouts that `want` asks for. */
static char *print_all(const char *want)
{
	char *text = NULL, words[128];
	size_t n;
	FILE *out = open_memstream(&text, &n);

	layout_print_topology(out, &t);
	for (const char *at = strstr(want, "\n$"); at; at = strstr(at + 1, "\n$")) {
		snprintf(words, sizeof(words), "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
		print_layout(out, words);
	}
	fclose(out);
	return text;
}

static char *read_text(const char *path)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = fopen(path, "r");

	if (f && getdelim(&text, &n, 0, f) < 0)
		text[0] = '\0';
	if (f)
		fclose(f);
	return text ? text : strdup("");
}

/* Shows the difference and keeps what came out, to be looked at and copied over the file if it is right. */
static void show(const char *path, const char *name, const char *got)
{
	const char *build = getenv("BUILD");
	char to[512], command[1024];
	FILE *f;

	snprintf(to, sizeof(to), "%s/topology", build ? build : "build");
	mkdir(to, 0755);
	snprintf(to, sizeof(to), "%s/topology/%s.txt", build ? build : "build", name);
	f = fopen(to, "w");
	assert_non_null(f);
	fputs(got, f);
	fclose(f);
	snprintf(command, sizeof(command), "diff -u %s %s", path, to);
	if (system(command) == 0)
		printf("%s and %s are the same\n", path, to);
}

/* Every number of threads and nodes gives a layout that holds, or the error that is due. */
static void check_every_number(void)
{
	struct error e;

	for (int n = 0; n <= (int)t.n_cpu + 1; n += n < 20 ? 1 : 13)
		for (int k = 0; k <= NODE_MAX + 1; k++)
			if (layout_make(&l, &t, n, k, &e) == 0)
				check_layout(n, k);
			else
				assert_true(k > NODE_MAX || k > (n ? n : (int)t.n_thread));
}

static bool is_as_written(const char *name)
{
	char path[300], root[64], *want, *got;
	bool is_same;

	snprintf(path, sizeof(path), FOLDER "%s.tree", name);
	sysfs_make(root, sizeof(root), path);
	assert_int_equal(topology_read(&t, root, NULL), 0);
	sysfs_remove(root);
	snprintf(path, sizeof(path), FOLDER "%s.txt", name);
	want = read_text(path);
	got = print_all(want);
	is_same = !strcmp(want, got);
	if (!is_same)
		show(path, name, got);
	check_every_number();
	free(want);
	free(got);
	return is_same;
}

static void test_machines(void **state)
{
	struct dirent *d;
	DIR *folder = opendir(FOLDER);
	int n = 0, n_bad = 0;

	(void)state;
	assert_non_null(folder);
	while ((d = readdir(folder))) {
		char *end = strstr(d->d_name, ".tree");

		if (!end)
			continue;
		*end = '\0';
		n++;
		n_bad += !is_as_written(d->d_name);
	}
	closedir(folder);
	assert_true(n >= 10);
	assert_int_equal(n_bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_machines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
