/*
 * Why: a daemon that starts with something else than what was written serves for weeks before anybody looks. Each wrong option and
 * line is refused in one line that says which it is and what to write.
 */
#include "daemon/config/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config c;
static struct error e;

static int parse(const char *const *words)
{
	char *argv[16] = { (char *)"gyred" };
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	e.text[0] = 0;
	return config_parse(&c, argc, argv, &e);
}

static void a_wrong_option_says_what_to_write(void **state)
{
	static const struct {
		const char *word[4], *text;
	} row[] = {
		{ { "--config" }, "--config needs a value; gyred --help says which" },
		{ { "--threads" }, "--threads needs a value; gyred --help says which" },
		{ { "--config", "" }, "--config needs a value: FILE" },
		{ { "--socket", "" }, "socket needs a value: PATH" },
		{ { "--threads", "" }, "threads needs a value: N" },
		{ { "--thread=2", "--modle", "x" },
		  "unknown option 'modle'; did you mean model? gyred --help lists them" },
		{ { "--colour" }, "unknown option 'colour'; gyred --help lists them" },
		{ { "--threads", "1", "-xyz" }, "unknown option '-x'; gyred --help lists them" },
		{ { "--version=2" }, "--version takes no value" },
		{ { "--threads", "1025" }, "threads: '1025' is not a whole number from 0 to 1024" },
		{ { "--threads", "-1" }, "threads: '-1' is not a whole number from 0 to 1024" },
		{ { "--threads", "2x" }, "threads: '2x' is not a whole number from 0 to 1024" },
		{ { "--ctx", "99999999999999999999" },
		  "ctx: '99999999999999999999' is not a whole number from 0 to 1048576" },
		{ { "--kv-bytes", "much" },
		  "kv-bytes: 'much' is no size; write bytes, or a number with K, M, G or T: 512M" },
		{ { "--kv-bytes", "4GB" },
		  "kv-bytes: '4GB' is no size; write bytes, or a number with K, M, G or T: 512M" },
		{ { "--kv-bytes", "17179869184G" },
		  "kv-bytes: '17179869184G' is not a whole number of less than 2^64" },
		{ { "--socket-mode", "0999" },
		  "socket-mode: '0999' is no mode; write it as chmod has it, in digits: 0660" },
		{ { "--socket-mode", "7777" },
		  "socket-mode: '7777' is no mode; write it as chmod has it, in digits: 0660" },
		{ { "--priority-uids", "root" },
		  "priority-uids: 'root': write numbers with commas between them, as in 0,1000 (id -u NAME)" },
		{ { "--priority-uids", "0,1000," },
		  "priority-uids: '1000,': write numbers with commas between them, as in 0,1000 (id -u NAME)" },
		{ { "--priority-uids", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17" }, "priority-uids: more than 16" },
		{ { "--log-level", "error" }, "log-level: 'error' is none of off|errors|requests|debug" },
		{ { "--log-level", "" }, "log-level: '' is none of off|errors|requests|debug" },
		{ { "--seccomp", "2" }, "seccomp: '2' is not a whole number from 0 to 1" },
		{ { "model.gguf" }, "model.gguf: gyred takes options only; gyred --help lists them" },
		{ { NULL }, "no model: say --model FILE.gguf" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (parse(row[i].word) >= 0)
			fail_msg("taken, not refused with: %s", row[i].text);
		assert_string_equal(e.text, row[i].text);
	}
}

static void a_right_one_is_taken_and_the_last_counts(void **state)
{
	static const char *const words[] = { "--model", "m",         "--kv-bytes", "4GiB", "--threads",
					     "3",       "--threads", "4",          NULL };

	(void)state;
	assert_int_equal(parse(words), CONFIG_RUN);
	assert_string_equal(c.model[0].file, "m");
	assert_true(c.model[0].kv_bytes == 4ull << 30);
	assert_int_equal(c.n_thread, 4);
}

static void a_word_is_its_number(void **state)
{
	static const char *const words[] = { "--model", "m", NULL }, *const debug[] = { "--model", "m", "--log-level",
											"debug", NULL };

	(void)state;
	assert_int_equal(parse(words), CONFIG_RUN);
	assert_int_equal(c.log_level, CONFIG_LOG_ERRORS);
	assert_int_equal(parse(debug), CONFIG_RUN);
	assert_int_equal(c.log_level, CONFIG_LOG_DEBUG);
}

/* Reads `text` (of n bytes) as a file. */
static int read_text(const char *text, size_t n)
{
	char path[] = "/tmp/gyre-test-conf-XXXXXX";
	int fd = mkstemp(path), r;
	struct error why;
	size_t len = strlen(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
	r = config_file_read(&c, path, &why);
	unlink(path);
	if (r < 0) { /* without the path, which is another each time */
		assert_memory_equal(why.text, path, len);
		strcpy(e.text, why.text + len);
	}
	return r;
}

static void a_wrong_line_is_named(void **state)
{
	static char longer[2 * PATH_MAX];
	static const struct {
		const char *text, *error;
	} row[] = {
		{ "threads = 2\n\nmodle = x\n",
		  ":3: unknown key 'modle'; did you mean model? gyred --help lists them" },
		{ "# a\nthreads 2\n", ":2: write key = value" },
		{ "threads =\n", ":1: threads needs a value: N" },
		{ "threads = two\n", ":1: threads: 'two' is not a whole number from 0 to 1024" },
		{ "threads = 2 # two\n", ":1: threads: '2 # two' is not a whole number from 0 to 1024" },
		{ "threads = 2\nctx = 5\nthreads = 3", ":3: threads has been set in line 1" },
		{ "kv-bytes = 1MB\n",
		  ":1: kv-bytes: '1MB' is no size; write bytes, or a number with K, M, G or T: 512M" },
		{ "= 5\n", ":1: unknown key ''; gyred --help lists them" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_true(read_text(row[i].text, strlen(row[i].text)) < 0);
		assert_string_equal(e.text, row[i].error);
	}
	assert_true(read_text("ctx = 5\nmodel = a\0b\n", 20) < 0);
	assert_string_equal(e.text, ":2: holds a byte 0; this is no text");
	/* A line longer than any path is one line: what stands behind its 4,160th byte is no second one. */
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "model = ", 8);
	assert_true(read_text(longer, sizeof(longer)) < 0);
	assert_string_equal(e.text, ":1: model: longer than 4095 bytes");
	assert_int_equal(read_text("  threads =  7 \r\n#\n\nisa = ref", 29), 0);
	assert_int_equal(c.n_thread, 7);
	assert_string_equal(c.isa, "ref");
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A host's own pieces stand over the file, in the order of their names; a key may be in several. */
static void pieces_come_after_the_file(void **state)
{
	char dir[] = "/tmp/gyre-test-conf-XXXXXX", path[64], folder[80], piece[3][100];
	static const char *const name[] = { "20-b.conf", "10-a.conf", "30-no" };
	static const char *const text[] = { "ctx = 3\n", "ctx = 2\nthreads = 2\n", "ctx = nonsense\n" };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c", dir);
	snprintf(folder, sizeof(folder), "%s.d", path);
	assert_int_equal(mkdir(folder, 0700), 0);
	write_text(path, "\xef\xbb\xbf"
			 "ctx = 1\nthreads = 1\ndraft = 1\n");
	for (int i = 0; i < 3; i++) {
		snprintf(piece[i], sizeof(piece[i]), "%s/%s", folder, name[i]);
		write_text(piece[i], text[i]);
	}
	assert_int_equal(config_file_read(&c, path, &e), 0);
	assert_int_equal(c.any.n_ctx, 3);
	assert_int_equal(c.n_thread, 2);
	assert_int_equal(c.any.n_draft, 1);
	write_text(piece[1], "\nctxx = 1\n");
	assert_int_equal(config_file_read(&c, path, &e), -EINVAL);
	assert_non_null(strstr(e.text, "/c.d/10-a.conf:2: unknown key 'ctxx'; did you mean ctx?"));
	for (int i = 0; i < 3; i++)
		unlink(piece[i]);
	rmdir(folder);
	unlink(path);
	rmdir(dir);
}

/* What could serve nobody is refused before anything is loaded. */
static void memory_for_no_client_is_refused(void **state)
{
	static const char *const words[] = { "--model", "m", "--session-bytes", "1", NULL };

	(void)state;
	assert_int_equal(parse(words), CONFIG_RUN);
	assert_int_equal(check_config(&c, "", &e), -EINVAL);
	assert_non_null(strstr(e.text, "session-bytes: 1 "));
	assert_non_null(strstr(e.text, "write 2M or more"));
}

/* What never ends is not read to its end. */
static void what_is_no_configuration_is_refused(void **state)
{
	(void)state;
	assert_int_equal(config_file_read(&c, "/dev/zero", &e), -EFBIG);
	assert_non_null(strstr(e.text, "this is no configuration"));
	assert_true(config_file_read(&c, "/", &e) < 0);
	assert_true(config_file_read(&c, "/nonexistent", &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_wrong_option_says_what_to_write),
					    cmocka_unit_test(a_right_one_is_taken_and_the_last_counts),
					    cmocka_unit_test(a_word_is_its_number),
					    cmocka_unit_test(a_wrong_line_is_named),
					    cmocka_unit_test(pieces_come_after_the_file),
					    cmocka_unit_test(memory_for_no_client_is_refused),
					    cmocka_unit_test(what_is_no_configuration_is_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
