/*
 * Why: who starts gyred with what it cannot do must learn in one line what is wrong and what would help, and by the exit code whether it is
 * worth trying again: options, configurations, files that are no model, too little memory.
 */
#include "tests/system/life.h"
#include "tests/util/emulated.h"
#include "tests/util/hostile.h"
#include "tests/util/sanitized.h"

#include <errno.h>

static void refuse(char *const *argv, int code, const char *word)
{
	int got = end_of(spawn(argv, -1, 0));

	if (got != code || !strstr(last_line(), word))
		fail_msg("exit %d, \"%s\": not %d and \"%s\"", got, last_line(), code, word);
}

static void refuse_option(const char *option, const char *value, int code, const char *word)
{
	char *argv[] = { (char *)"gyred", (char *)"--model", model, (char *)"--socket", sock,
			 (char *)option,  (char *)value,     NULL };

	refuse(argv, code, word);
}

/* Each error names the line. */
static void a_wrong_line_of_the_file_is_named(void **state)
{
	static const char *const line[] = { "bogus = 1", "threads", "threads = x", "spin-us = 1000001" };
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/conf", dir);
	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		FILE *f = fopen(path, "w");

		fprintf(f, "# by a test\n\n ctx = 512 \n%s\n", line[i]);
		fclose(f);
		refuse_option("--config", path, 2, "/conf:4: ");
	}
	unlink(path);
}

static void wrong_options_are_2_and_named(void **state)
{
	static const char *const number[] = { "threads",    "nodes",  "replicas", "ctx",           "kv-bytes",
					      "batch-rows", "gap-ms", "draft",    "drain-seconds", "spin-us" };
	static const char *const wrong[] = { "-1", "x", "", "1x", "99999999999999999999" };
	char option[32];

	(void)state;
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
			snprintf(option, sizeof(option), "--%s", number[i]);
			refuse_option(option, wrong[k], 2, number[i]);
		}
	refuse_option("--threads", "1025", 2, "from 0 to 1024");
	refuse_option("--nodes", "9", 2, "from 0 to 8");
	refuse_option("--replicas", "0", 2, "from 1 to 8");
	refuse((char *[]){ (char *)"gyred", (char *)"--model", model, (char *)"--socket", sock, (char *)"--threads",
			   (char *)"2", (char *)"--replicas", (char *)"3", NULL },
	       1, "lower --replicas");
	refuse_option("--draft-min", "17", 2, "from 0 to 16");
	refuse_option("--nosuch", "1", 2, "gyred --help");
	refuse_option("--isa", "mmx", 2, "'mmx' is none of ref, ");
	refuse_option("--config", "/nonexistent.conf", 2, "/nonexistent.conf");
	refuse_option("--config", "/", 2, "cannot be read");
	refuse_option("--ctx", "1048576", 1, "ctx");
	refuse((char *[]){ (char *)"gyred", NULL }, 2, "--model FILE");
	refuse((char *[]){ (char *)"gyred", (char *)"--model", model, (char *)"stray", NULL }, 2, "stray");
}

static void use_file(const char *path, const char *word)
{
	refuse((char *[]){ (char *)"gyred", (char *)"--model", (char *)path, (char *)"--socket", sock, NULL }, 1, word);
	assert_non_null(strstr(last_line(), path));
}

/* Missing, empty, a folder, no GGUF, cut off at each tenth of its length, and bit by bit bent. */
static void a_model_that_is_none_is_refused_by_name(void **state)
{
	static uint8_t bytes[1 << 20], bent[1 << 20];
	char path[128];
	uint64_t seed = 5;
	size_t n;
	FILE *f = fopen(model, "rb");

	(void)state;
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	assert_true(n > 1000 && n < sizeof(bytes));
	use_file("/nonexistent.gguf", "No such file");
	use_file("/", "");
	use_file("/dev/null", "");
	use_file("/etc/passwd", "GGUF");
	snprintf(path, sizeof(path), "%s/bent.gguf", dir);
	for (int i = 0; i < 10; i++) {
		f = fopen(path, "wb");
		fwrite(bytes, 1, n * (size_t)i / 10, f);
		fclose(f);
		use_file(path, "");
	}
	/* Any bits in the header: a refusal, or a model of another shape; never a crash. */
	for (int i = 0; i < 60; i++) {
		int code;
		pid_t pid;

		memcpy(bent, bytes, n);
		for (int k = 0; k < 4; k++)
			bent[hostile_random(&seed, 6000)] = (uint8_t)hostile_random(&seed, 256);
		f = fopen(path, "wb");
		fwrite(bent, 1, n, f);
		fclose(f);
		pid = spawn((char *[]){ (char *)"gyred", (char *)"--model", path, (char *)"--socket", sock,
					(char *)"--threads", (char *)"1", NULL },
			    -1, 0);
		while (!strstr(last_line(), "ready in") && is_running(pid))
			usleep(1000);
		kill(pid, SIGTERM);
		code = end_of(pid);
		if (code != 0 && code != 1)
			fail_msg("bent file %d: exit %d after \"%s\"", i, code, last_line());
	}
	unlink(path);
}

/* A token beyond the embedding would be read from whatever follows it. */
static void a_vocabulary_larger_than_its_table_is_refused(void **state)
{
	struct tiny t = tiny_served;

	(void)state;
	t.n_token = TINY_SERVED_VOCAB + 5;
	assert_int_equal(tiny_write(model, &t), 0);
	use_file(model, "embedding");
	assert_int_equal(tiny_write(model, &tiny_served), 0);
}

static void too_little_memory_is_said_with_its_remedy(void **state)
{
	char *argv[] = { (char *)"gyred", (char *)"--model", model, (char *)"--socket", sock, NULL };
	pid_t pid;

	(void)state;
	if (is_emulated("limits are"))
		skip();
	refuse_option("--kv-bytes", "100000G", 2, "kv-bytes: 97.7 TiB, but this machine has");
	refuse_option("--kv-bytes", "1", 1, "kv-bytes");
	char *large[] = { (char *)"gyred",      (char *)"--model", model, (char *)"--socket", sock,
			  (char *)"--kv-bytes", (char *)"600M",    NULL };

	if (!is_sanitized("a sanitizer reserves more addresses than a limit leaves")) {
		assert_int_equal(end_of(spawn(argv, RLIMIT_AS, 64 << 20)), 1);
		assert_true(strlen(last_line()) > 10);
		assert_int_equal(end_of(spawn(large, RLIMIT_AS, 500 << 20)), 1);
		if (!strstr(last_line(), "gyre-kv") || !strstr(last_line(), "raise ulimit -v"))
			fail_msg("%s", last_line());
	}
	/* No locked memory at all: the rings of the control loop and of the loader must do without. */
	pid = spawn(argv, RLIMIT_MEMLOCK, 0);
	gyre_close(connect_to(8));
	kill(pid, SIGTERM);
	assert_int_equal(end_of(pid), 0);
}

static void a_file_in_the_place_of_the_socket_stays(void **state)
{
	char path[128];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	refuse_option("--socket", path, 1, "--socket");
	assert_int_equal(stat(path, &st), 0);
	unlink(path);
	refuse_option("--socket", "/nonexistent/dir/sock", 1, "--socket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(wrong_options_are_2_and_named),
		CASE(a_wrong_line_of_the_file_is_named),
		CASE(a_model_that_is_none_is_refused_by_name),
		CASE(a_vocabulary_larger_than_its_table_is_refused),
		CASE(too_little_memory_is_said_with_its_remedy),
		CASE(a_file_in_the_place_of_the_socket_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
