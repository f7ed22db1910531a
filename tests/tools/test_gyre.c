/*
 * Why: scripts depend on exit codes and on one-line errors that name the fix, and on nothing but answers going to stdout.
 * None of these cases needs a model or a daemon; the program under test is $BUILD/gyre (default build/gyre).
 */
#include "kernels/kernels.h"
#include "tests/util/sysfs.h"
#include "tests/util/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[65536];

/* Runs a program with `words`, keeps both outputs, returns the exit status. */
static int run(const char *program, const char *words)
{
	const char *build = getenv("BUILD");
	char command[1024];
	size_t n;
	FILE *f;
	int status;

	snprintf(command, sizeof(command), "env -u XDG_RUNTIME_DIR -u GYRE_SOCKET %s/%s %s 2>&1 </dev/null",
		 build ? build : "build", program, words);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(output, 1, sizeof(output) - 1, f);
	output[n] = 0;
	status = pclose(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int gyre(const char *words)
{
	return run("gyre", words);
}

static void assert_one_line(void)
{
	assert_non_null(strchr(output, '\n'));
	assert_int_equal(strchr(output, '\n')[1], 0);
}

static void usage_errors_are_2(void **state)
{
	static const char *const words[] = { "nosuch",
					     "bench nosuch",
					     "run --nosuch",
					     "--json stat",
					     "run hi --nosuch",
					     "run hi --depth 3",
					     "run hi --json=1",
					     "run hi --max",
					     "run hi -z",
					     "run --model '' hi",
					     "run --socket '' hi",
					     "run --temp nan hi",
					     "run --temp 0x1 hi",
					     "run --top-k -1 hi",
					     "run --top-k 1e3 hi",
					     "run --max ' 5' hi",
					     "run --max 99999999999999999999 hi",
					     "run --seed 18446744073709551616 hi",
					     "score a b ''",
					     "tokenize a b",
					     "detokenize 1 x",
					     "embed --pooling max a",
					     "detokenize 4294967296",
					     "bench model --rows -4 -m x",
					     "bench model --rows 1- -m x",
					     "bench model -m x --kv-type q4",
					     "run --max",
					     "run --max 0 hi",
					     "run --max 1.5 hi",
					     "run --top-p 2 hi",
					     "run --temp x hi",
					     "run --seed -1 hi",
					     "score one",
					     "inspect a b",
					     "stat extra",
					     "run --stop '' hi",
					     "bench model -m x --isa nosuch",
					     "bench model",
					     "run",
					     "bench model --rows 4-1 -m x",
					     "bench model --rows 1,,2 -m x",
					     "bench model --batch 1-300 -m x",
					     "bench layouts -m x 2:1",
					     "bench layouts 2:1 2:2",
					     "bench layouts -m x 2:1 2",
					     "bench layouts -m x 2:1 2:9",
					     "bench layouts -m x 1:1 1:1 1:1 1:1 1:1",
					     "plan",
					     "plan --topology --nodes 9" };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (gyre(words[i]) != 2)
			fail_msg("gyre %s: %s", words[i], output);
		assert_one_line();
		assert_memory_equal(output, "gyre: ", 6);
	}
}

/* The remedy is in the line: what is allowed, exactly, or what was meant. */
static void usage_errors_say_what_to_write(void **state)
{
	static const struct {
		const char *words, *text;
	} row[] = {
		{ "run hi --max 0", "gyre: --max: '0' is not a whole number from 1 to 1073741824\n" },
		{ "run hi --seed x", "gyre: --seed: 'x' is not a whole number of less than 2^64\n" },
		{ "run hi --temp -1", "gyre: --temp: '-1' is not a number from 0 to 100\n" },
		{ "plan -m x --hop-ns 0", "gyre: --hop-ns: '0' is not a number from 1 to 1000000\n" },
		{ "run hi --mx 5", "gyre: --mx is no option; did you mean --max? (-- ends the options)\n" },
		{ "stat --max 5", "gyre: gyre stat takes no --max; gyre stat --help lists what it takes\n" },
		{ "score one", "gyre: an operand is missing; usage: gyre score [option...] CONTEXT CONTINUATION...\n" },
		{ "stat x", "gyre: 'x' is one operand too many; usage: gyre stat [option...] \n" },
		{ "score a ''", "gyre: continuation 1 is empty: there is nothing to score\n" },
		{ "benhc", "gyre: no verb 'benhc'; did you mean bench? gyre --help lists them\n" },
		{ "bench modle", "gyre: no verb 'bench modle'; did you mean bench model? gyre --help lists them\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(gyre(row[i].words), 2);
		assert_string_equal(output, row[i].text);
	}
	assert_int_equal(gyre("bench model -m x --isa avx3"), 2);
	assert_non_null(strstr(output, "gyre: --isa: 'avx3' is none of ref, "));
	assert_non_null(strstr(output, "; this CPU runs ref"));
	assert_int_equal(gyre("bench"), 2);
	assert_non_null(strstr(output, "usage: gyre bench VERB"));
	assert_non_null(strstr(output, "bench layouts"));
	assert_null(strstr(output, "doctor"));
}

/* Without troff's escapes. */
static void read_manual(char *text, size_t size)
{
	char *to = text;
	FILE *f = fopen("tools/man/gyre.1", "r");

	assert_non_null(f);
	text[fread(text, 1, size - 1, f)] = 0;
	fclose(f);
	for (const char *from = text; *from; from++) {
		if (*from == '\\')
			from += from[1] == 'f' ? 3 : 1;
		*to++ = *from;
	}
	*to = 0;
}

static bool has_option(const char *text, const char *option)
{
	size_t n = strlen(option);

	for (const char *p = text; (p = strstr(p, option)); p += n)
		if (!strchr("abcdefghijklmnopqrstuvwxyz-", p[n]) || !p[n])
			return true;
	return false;
}

/* Itself, and each option that --help has a line of. */
static void check_verb(const char *manual, const char *verb)
{
	char words[64], head[64];

	snprintf(head, sizeof(head), "\n.B %s", verb);
	if (!strstr(manual, head))
		fail_msg("gyre(1) has no %s", verb);
	snprintf(words, sizeof(words), "%s --help", verb);
	assert_int_equal(gyre(words), 0);
	for (char *at = output, *line; (line = strsep(&at, "\n"));) {
		char option[32];

		if (sscanf(line, " --%28[a-z-]", option + 2) != 1 &&
		    sscanf(line, " -%*c, --%28[a-z-]", option + 2) != 1)
			continue;
		memcpy(option, "--", 2);
		if (!has_option(manual, option))
			fail_msg("gyre(1) has no %s of %s", option, verb);
	}
}

static void the_manual_has_each_verb_and_option(void **state)
{
	static char manual[1 << 17], help[sizeof(output)];
	int n = 0;

	(void)state;
	read_manual(manual, sizeof(manual));
	assert_int_equal(gyre("--help"), 0);
	memcpy(help, output, sizeof(help));
	for (char *at = help, *line; (line = strsep(&at, "\n"));) {
		char *end;

		if (strncmp(line, "  ", 2) != 0)
			continue;
		end = strstr(line + 2, "  ");
		assert_non_null(end);
		*end = 0;
		check_verb(manual, line + 2);
		n++;
	}
	assert_true(n > 20);
}

/* Before anything is opened: the model is not there, and that is not what is said. */
static void options_of_gyred_are_checked_first(void **state)
{
	static const struct {
		const char *words, *text;
	} row[] = { { "--kv-type q4", "kv-type: 'q4' is none of f16, q8_0, f32\n" },
		    { "--isa avx3", "isa: 'avx3' is none of ref, " },
		    { "--kv-bytes 900T", "kv-bytes: 900.0 TiB, but this machine has " },
		    { "--kv-bytes 900T --replicas 2", "kv-bytes: 900.0 TiB a replica, but this machine has " },
		    { "--config", "--config needs a value" },
		    { "--config /nonexistent.conf", "/nonexistent.conf: No such file or directory\n" } };

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char words[128];

		snprintf(words, sizeof(words), "--model /nonexistent.gguf --socket /nonexistent/s %s", row[i].words);
		assert_int_equal(run("gyred", words), 2);
		assert_one_line();
		assert_memory_equal(output, row[i].text, strlen(row[i].text));
	}
}

static void every_socket_that_was_tried_is_named(void **state)
{
	const char *build = getenv("BUILD");
	char gyre_path[256], words[600];
	static const struct {
		const char *environment, *text;
	} row[] = { { "-u XDG_RUNTIME_DIR -u GYRE_SOCKET", "gyre: no gyred on /run/gyre/gyre.sock: " },
		    { "-u GYRE_SOCKET XDG_RUNTIME_DIR=/nonexistent",
		      "gyre: no gyred on /nonexistent/gyre.sock or /run/gyre/gyre.sock: " },
		    { "GYRE_SOCKET=/nonexistent/s", "gyre: no gyred on /nonexistent/s, which $GYRE_SOCKET names: " } };

	(void)state;
	if (access("/run/gyre/gyre.sock", F_OK) == 0)
		skip();
	snprintf(gyre_path, sizeof(gyre_path), "%s/gyre", build ? build : "build");
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		/* gyre of this build runs env here, which runs it again. */
		snprintf(words, sizeof(words), "--version >/dev/null; env %s %s stat", row[i].environment, gyre_path);
		assert_int_equal(gyre(words), 3);
		assert_one_line();
		assert_memory_equal(output, row[i].text, strlen(row[i].text));
	}
}

static void no_daemon_is_3_and_names_the_fix(void **state)
{
	static const char *const verb[] = { "run", "score", "embed", "tokenize", "detokenize", "stat" };
	static const char *const operand[] = { "hi", "a b", "hi", "hi", "1", "" };

	(void)state;
	for (int i = 0; i < 6; i++) {
		char words[128];

		snprintf(words, sizeof(words), "%s --socket /nonexistent/sock %s", verb[i], operand[i]);
		assert_int_equal(gyre(words), 3);
		assert_string_equal(output, "gyre: no gyred on /nonexistent/sock: start one, or give --model FILE\n");
	}
}

static void missing_model_is_1_in_one_line(void **state)
{
	(void)state;
	assert_int_equal(gyre("run --socket /nonexistent/sock --model /nonexistent.gguf hi"), 1);
	assert_one_line();
	assert_non_null(strstr(output, "/nonexistent.gguf"));
	assert_int_equal(gyre("inspect /nonexistent.gguf"), 1);
	assert_one_line();
}

static void private_daemon_forwards_its_last_words(void **state)
{
	(void)state;
	assert_int_equal(gyre("run --socket /nonexistent/sock --model /etc/passwd hi"), 1);
	assert_one_line();
	assert_non_null(strstr(output, "/etc/passwd"));
}

static void every_verb_has_help(void **state)
{
	static const char *const verb[] = { "run",  "chat",  "score",       "tokenize",   "inspect", "doctor",
					    "plan", "bench", "bench model", "bench ring", "stat" };

	(void)state;
	for (size_t i = 0; i < sizeof(verb) / sizeof(verb[0]); i++) {
		char words[64];

		snprintf(words, sizeof(words), "%s --help", verb[i]);
		assert_int_equal(gyre(words), 0);
		assert_non_null(strstr(output, "usage: gyre"));
		assert_non_null(strstr(output, "--help"));
		assert_non_null(strstr(output, "Exit status"));
	}
	assert_int_equal(gyre("--help"), 0);
	for (size_t i = 0; i < sizeof(verb) / sizeof(verb[0]); i++)
		assert_non_null(strstr(output, verb[i]));
}

/* From the table of levels, where it is printed; a page is written by hand and names those of all machines. */
static void every_isa_is_in_help_and_man_page(void **state)
{
	static char page[65536];
	char all[KERNELS_LIST_BYTES];
	FILE *f = fopen("tools/man/gyred.conf.5", "r");

	(void)state;
	assert_non_null(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = 0;
	fclose(f);
	kernels_isa_names(all, sizeof(all), false);
	assert_int_equal(run("gyred", "--help"), 0);
	assert_non_null(strstr(output, all));
	assert_int_equal(gyre("bench model --help"), 0);
	assert_non_null(strstr(output, all));
	for (int i = ISA_REF; kernels_isa_name((enum kernels_isa)i); i++)
		if (!strstr(page, kernels_isa_name((enum kernels_isa)i)))
			fail_msg("gyred.conf(5) does not name %s", kernels_isa_name((enum kernels_isa)i));
}

static void golden_model_is_inspected(void **state)
{
	(void)state;
	assert_int_equal(gyre("inspect tests/golden/llama_plain.gguf"), 0);
	assert_non_null(strstr(output, "general.architecture = \"llama\""));
	assert_non_null(strstr(output, "token_embd.weight"));
	assert_int_equal(gyre("inspect --json tests/golden/llama_plain.gguf"), 0);
	assert_one_line();
	assert_int_equal(output[0], '{');
}

static void write_config(const char *text)
{
	FILE *f = fopen("/tmp/gyre-doctor.conf", "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void doctor_reports_each_check(void **state)
{
	(void)state;
	assert_true(gyre("doctor") <= 1); /* 1: the host has something bad */
	assert_non_null(strstr(output, "huge pages"));
	assert_non_null(strstr(output, "io_uring"));
	assert_null(strchr(output, '[')); /* the chosen value alone, not the list the kernel shows */
	assert_non_null(strstr(output, "configuration"));
	write_config("model = tests/golden/llama_plain.gguf\nthread = 2\n");
	assert_int_equal(gyre("doctor /tmp/gyre-doctor.conf"), 1);
	assert_non_null(strstr(output, "gyre-doctor.conf:2: "));
	assert_non_null(strstr(output, "threads"));
	write_config("model = tests/golden/llama_plain.gguf\nthreads = 1\n");
	gyre("doctor /tmp/gyre-doctor.conf");
	assert_non_null(strstr(output, "gyred would start with"));
	unlink("/tmp/gyre-doctor.conf");
}

/* What another machine's tree gives is compared to the letter in tests/daemon/machine/test_layout.c. */
static void plan_takes_this_host_or_another(void **state)
{
	char root[64], words[128];

	(void)state;
	assert_int_equal(gyre("plan --topology"), 0);
	assert_non_null(strstr(output, "NUMA nodes"));
	assert_non_null(strstr(output, "threads    memory  CPUs"));
	sysfs_make(root, sizeof(root), "tests/golden/topology/xeon-icelake-2s.tree");
	snprintf(words, sizeof(words), "plan --topology --root %s --threads 8 --nodes 2", root);
	assert_int_equal(gyre(words), 0);
	assert_non_null(strstr(output, "   1        4    node 1  32,40,48,56\n"));
	snprintf(words, sizeof(words), "plan --topology --root %s --json", root);
	assert_int_equal(gyre(words), 0);
	assert_one_line();
	assert_non_null(strstr(output, "{\"threads\":32,\"memory_node\":1,\"cpus\":[32,33,"));
	assert_non_null(strstr(output, "\"huge_1g\":{\"total\":32,\"free\":30}"));
	snprintf(words, sizeof(words), "plan --topology --root %s --threads 2 --nodes 3", root);
	assert_int_equal(gyre(words), 1);
	assert_string_equal(output, "gyre: 3 nodes on 2 threads: each needs one; lower --nodes or raise --threads\n");
	sysfs_remove(root);
	assert_int_equal(gyre("plan --topology --root /nonexistent"), 1);
	assert_one_line();
	assert_non_null(strstr(output, "--root takes a copy of /proc and /sys"));
}

/* Of 8 experts of 96 columns a token takes 3, of each of which every node has rows. A step reads these of them. */
static void plan_divides_experts(void)
{
	struct tiny o = { 64, 2, 4, 4, 16, 96, 72, 64, .type_embd = QUANT_F16, .is_tied = true };
	const uint64_t expert = 3 * 64 * 96 / 32 * 18,
		       rest = 2 * (4 * 64 * 64 / 32 * 18 + 2 * 64 * 4 + 8 * 64 * 4) + 64 * 4;
	char path[] = "/tmp/gyre-test-plan-XXXXXX", words[128], want[96];
	int fd = mkstemp(path);

	o.type_q = o.type_k = o.type_v = o.type_o = o.type_gate = o.type_up = o.type_down = QUANT_Q4_0;
	o.n_expert = 8;
	o.n_expert_used = 3;
	assert_true(fd >= 0 && close(fd) == 0);
	assert_int_equal(tiny_write(path, &o), 0);
	snprintf(words, sizeof(words), "plan -m %s --threads 2 --nodes 1 --hop-ns 600 --json", path);
	assert_int_equal(gyre(words), 0);
	snprintf(want, sizeof(want), "\"step_bytes\":%llu", (unsigned long long)(rest + 72 * 64 * 2 + 2 * 3 * expert));
	assert_non_null(strstr(output, want));
	assert_non_null(strstr(output, "\"of_a_token\":3,\"balance\":1.0,"));
	snprintf(words, sizeof(words), "plan -m %s --threads 2 --nodes 2 --hop-ns 600", path);
	assert_int_equal(gyre(words), 0);
	assert_non_null(strstr(output, "experts: 3 of 8 a token, each of 96 columns. Every node has rows of each"));
	assert_non_null(strstr(output, "   1 of each expert: gate and up 48..96, down 32..64\n"));
	snprintf(words, sizeof(words), "plan -m %s --threads 4 --nodes 4 --hop-ns 600", path);
	assert_int_equal(gyre(words), 0);
	assert_non_null(strstr(output, "   3 of each expert: gate and up 80..96, down 48..64\n"));
	unlink(path);
}

/* What a second core would have been needed to measure is left out, and said. */
static void plan_divides_a_model_on_one_cpu(void **state)
{
	cpu_set_t all, one;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0); /* its children have it, too */
	assert_int_equal(gyre("plan -m tests/golden/llama_plain.gguf --threads 2 --nodes 2 --hop-ns 600"), 0);
	assert_non_null(strstr(output, "fullest node over the mean"));
	assert_non_null(strstr(output, "no prediction: "));
	assert_int_equal(gyre("plan -m tests/golden/llama_plain.gguf --hop-ns 600 --json"), 0);
	assert_non_null(strstr(output, "\"predictions\":[]"));
	plan_divides_experts();
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usage_errors_are_2),
		cmocka_unit_test(usage_errors_say_what_to_write),
		cmocka_unit_test(options_of_gyred_are_checked_first),
		cmocka_unit_test(every_socket_that_was_tried_is_named),
		cmocka_unit_test(no_daemon_is_3_and_names_the_fix),
		cmocka_unit_test(missing_model_is_1_in_one_line),
		cmocka_unit_test(private_daemon_forwards_its_last_words),
		cmocka_unit_test(every_verb_has_help),
		cmocka_unit_test(every_isa_is_in_help_and_man_page),
		cmocka_unit_test(the_manual_has_each_verb_and_option),
		cmocka_unit_test(golden_model_is_inspected),
		cmocka_unit_test(doctor_reports_each_check),
		cmocka_unit_test(plan_takes_this_host_or_another),
		cmocka_unit_test(plan_divides_a_model_on_one_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
