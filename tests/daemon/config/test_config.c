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
		{ { "--kv-type", "q4" }, "kv-type: 'q4' is none of f16, q8_0, f32" },
		{ { "--isa", "avx3" }, NULL },
		{ { "--chat-date", "2023-02-29" }, "chat-date: '2023-02-29' is no day; write YYYY-MM-DD: 2024-07-26" },
		{ { "--chat-date", "today" }, "chat-date: 'today' is no day; write YYYY-MM-DD: 2024-07-26" },
		{ { "--socket-group", "nobody-has-it" },
		  "socket-group: there is no group 'nobody-has-it' (getent group)" },
		{ { "--user", "nobody-has-it" }, "user: there is no user 'nobody-has-it' (getent passwd)" },
		{ { "--group", "nobody-has-it" }, "group: there is no group 'nobody-has-it' (getent group)" },
		{ { "--user", "" }, "user needs a value: NAME" },
		{ { "--model", "" }, "model needs a value: FILE" },
		{ { "--user", "0", "--ctx", "5" },
		  "ctx is a model's: write it below a line model = FILE, or above all sections" },
		{ { "--model", "m", "--max-sessions", "5" },
		  "max-sessions is a user's: write it below a line user = NAME, or above all sections" },
		{ { "--name", "a b" }, "name: 'a b': write up to 63 bytes without blanks, commas, quotes and slashes" },
		{ { "--models", "a,,b" }, "models: 'a,,b': write names of models with commas between them: a,b" },
		{ { "--models", "" }, "models: '': write names of models with commas between them: a,b" },
		{ { "--max-sessions", "2049" }, "max-sessions: '2049' is not a whole number from 0 to 2048" },
		{ { "--max-priority", "256" }, "max-priority: '256' is not a whole number from 0 to 255" },
		{ { "--max-tokens-per-second", "1.5" },
		  "max-tokens-per-second: '1.5' is not a whole number from 0 to 10000000" },
		{ { "--check=1" }, "--check takes no value" },
		{ { "--seccomp", "2" }, "seccomp: '2' is not a whole number from 0 to 1" },
		{ { "model.gguf" }, "model.gguf: gyred takes options only; gyred --help lists them" },
		{ { NULL }, "no model: say --model FILE.gguf" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (parse(row[i].word) >= 0)
			fail_msg("taken, not refused with: %s", row[i].text);
		if (row[i].text)
			assert_string_equal(e.text, row[i].text);
		else
			assert_non_null(strstr(e.text, "--isa auto takes the best"));
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

/* ---- sections ---- */

static char conf_dir[64], conf[80];

/* The file, and pieces a.conf and b.conf of its folder; NULL: none. */
static void write_conf(const char *main, const char *a, const char *b)
{
	char path[128];

	strcpy(conf_dir, "/tmp/gyre-test-conf-XXXXXX");
	assert_non_null(mkdtemp(conf_dir));
	snprintf(conf, sizeof(conf), "%s/c", conf_dir);
	write_text(conf, main);
	snprintf(path, sizeof(path), "%s.d", conf);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < 2; i++)
		if (i ? b : a) {
			snprintf(path, sizeof(path), "%s.d/%s.conf", conf, i ? "b" : "a");
			write_text(path, i ? b : a);
		}
}

static void remove_conf(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", conf_dir);
	assert_int_equal(system(command), 0);
}

static void a_model_has_its_own_and_what_all_have(void **state)
{
	const char *words[] = { "--config", conf, NULL };

	(void)state;
	write_conf("ctx = 100\nkv-type = q8_0\nmodel = /x/small.gguf\nctx = 200\n"
		   "model = large.gguf\nname = big\ndraft-max = 3\n",
		   "model = /x/small.gguf\nidle-seconds = 9\n", "draft-max = 1\nmodel = third\n");
	assert_int_equal(parse(words), CONFIG_RUN);
	assert_int_equal(c.n_model, 3);
	assert_string_equal(c.model[0].name, "small");
	assert_int_equal(c.model[0].n_ctx, 200);
	assert_int_equal(c.model[0].idle_seconds, 9); /* a piece goes on with its section */
	assert_int_equal(c.model[0].draft_max, 1);
	assert_string_equal(c.model[1].name, "big");
	assert_int_equal(c.model[1].n_ctx, 100);
	assert_int_equal(c.model[1].draft_max, 3);
	assert_string_equal(c.model[2].name, "third");
	for (int i = 0; i < 3; i++)
		assert_string_equal(c.model[i].kv_type, "q8_0");
	remove_conf();
}

/* Without a --model its keys are for all that files have; a --model stands in the place of those. */
static void the_command_line_goes_before_files(void **state)
{
	const char *all[] = { "--config", conf, "--ctx", "7", NULL },
		   *other[] = { "--ctx", "7", "--model", "b", "--ctx", "8", "--model", "c", "--config", conf, NULL };

	(void)state;
	write_conf("ctx = 1\nmodel = a\nctx = 2\ndraft-max = 5\nmodel = b\nuser = 5\nmax-sessions = 3\n", NULL, NULL);
	assert_int_equal(parse(all), CONFIG_RUN);
	assert_int_equal(c.n_model, 2);
	assert_int_equal(c.model[0].n_ctx, 7);
	assert_int_equal(c.model[0].draft_max, 5);
	assert_int_equal(c.model[1].n_ctx, 7);
	assert_int_equal(parse(other), CONFIG_RUN);
	assert_int_equal(c.n_model, 2);
	assert_string_equal(c.model[0].file, "b");
	assert_int_equal(c.model[0].n_ctx, 8);
	assert_string_equal(c.model[1].file, "c");
	assert_int_equal(c.model[1].n_ctx, 7);
	assert_int_equal(c.n_quota, 1);
	assert_int_equal(c.quota[0].n_session, 3);
	remove_conf();
}

static void users_and_groups_have_quotas(void **state)
{
	const char *words[] = { "--config", conf, NULL };

	(void)state;
	write_conf(
		"model = a\nuser = 1000\nmax-sessions = 4\nmodels = a , b\ngroup = root\nmax-requests = 5\n"
		"user = root\nmax-positions = 6\nmodel = b\n",
		"max-sessions = 2\nmax-tokens-per-second = 9\nuser = 1000\nmax-priority = 200\nmax-arena-bytes = 3M\n",
		NULL);
	assert_int_equal(parse(words), CONFIG_RUN);
	assert_int_equal(check_config(&c, &e), 0);
	assert_int_equal(c.n_quota, 3);
	assert_true(c.quota[0].whom == CONFIG_UID && c.quota[0].id == 1000);
	assert_int_equal(c.quota[0].n_session, 4);
	assert_int_equal(c.quota[0].priority, 200);
	assert_true(c.quota[0].arena_bytes == 3u << 20);
	assert_string_equal(c.quota[0].models, "a,b");
	assert_true(c.quota[1].whom == CONFIG_GID && c.quota[1].id == 0);
	assert_int_equal(c.quota[1].n_session, 2);
	assert_int_equal(c.quota[1].n_request, 5);
	assert_true(c.quota[2].whom == CONFIG_UID && c.quota[2].id == 0);
	assert_int_equal(c.quota[2].n_position, 6);
	assert_int_equal(c.everybody.n_session, 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(c.quota[i].tokens_a_second, 9);
	remove_conf();
}

/* What only all of it together shows to be wrong is said with the file and line that it stands in. */
static void contradictions_are_named_with_their_line(void **state)
{
	static const struct {
		const char *main, *piece, *text;
	} row[] = {
		{ "model = a/m.gguf\nmodel = b/m.gguf\n", NULL,
		  "name: two models are 'm'; give one of them a name of its own" },
		{ "model = a\nname = x\n", "model = b\nname = x\n", "/c.d/a.conf:2: name: two models are 'x'" },
		{ "model = small\nmodel = large\nuser = 5\nmax-sessions = 1\n", "user = 5\nmodels = small,lrage\n",
		  "/c.d/a.conf:2: models: there is no model 'lrage'; did you mean large? There are: small, large" },
		{ "models = none\nmodel = small\n", NULL, "/c:1: models: there is no model 'none'; there are: small" },
		{ "model = a\nsession-bytes = 1M\n", NULL, "/c:2: session-bytes: 1.0 MiB hold no client's rings" },
		{ "model = a\ngroup = 0\n\nmax-arena-bytes = 1M\n", NULL,
		  "/c:4: max-arena-bytes: 1.0 MiB hold no client's rings; write 2M or more, or 0 for no limit" },
		{ "model = a\nsocket = /tmp/s\nmetrics-socket = /tmp/s\n", NULL,
		  "/c:3: metrics-socket: /tmp/s is the socket of clients; choose another" },
		{ "model = a\nsocket-group = root\nsocket-mode = 0700\n", NULL,
		  "/c:2: socket-group: socket-mode 0700 does not let the group write, so none of it could connect; "
		  "write "
		  "socket-mode = 0760" },
		{ "model = a\nthreads = 2\nnodes = 3\n", NULL,
		  "/c:3: nodes: 3 nodes, but threads = 2: each has one at least; lower nodes or raise threads" },
		{ "model = a\npriority-uids = 5\nuser = 5\nmax-priority = 128\n", NULL,
		  "/c:4: max-priority: uid 5 is one of priority-uids, which is about priorities below 128, and with "
		  "128" },
		{ "model = a\nmemory = 1G\nkv-bytes = 2G\n", NULL,
		  "/c:3: kv-bytes: 2.0 GiB, but memory = 1.0 GiB for all" },
		{ "kv-bytes = 2G\nmodel = a\nmemory = 1G\n", NULL, "/c:1: kv-bytes: 2.0 GiB, but memory = 1.0 GiB" },
		{ "memory = 3G\nreplicas = 2\nmodel = a\nkv-bytes = 1G\nmodel = b\nkv-bytes = 1G\n", NULL,
		  "/c:6: kv-bytes: 2.0 GiB of all models a replica, but memory = 3.0 GiB for all" },
	};
	const char *words[] = { "--config", conf, NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int r;

		write_conf(row[i].main, row[i].piece, NULL);
		r = parse(words);
		r = r < 0 ? r : check_config(&c, &e);
		r = r < 0 ? r : check_memory(&c, "", &e);
		assert_int_equal(r, -EINVAL);
		if (!strstr(e.text, row[i].text))
			fail_msg("'%s' does not say '%s'", e.text, row[i].text);
		remove_conf();
	}
}

static void files_are_looked_at_before_loading(void **state)
{
	static const struct {
		const char *text, *words;
		int code;
	} row[] = {
		{ "model = /nonexistent.gguf\n",
		  "/c:1: model: /nonexistent.gguf: No such file or directory; name a GGUF file", -ENOENT },
		{ "model = /tmp\n", "/c:1: model: /tmp: Is a directory; name a GGUF file", -EISDIR },
		{ "model = /dev/null\n", "/c:1: model: /dev/null: is no file; name a GGUF file", -EINVAL },
		{ "model = /etc/passwd\nchat-template = /nonexistent\n",
		  "/c:2: chat-template: /nonexistent: No such file or directory; name a file, or one of gyred's own: "
		  "alpaca, ",
		  -ENOENT },
		{ "model = /etc/passwd\nsocket = /nonexistent/s\n",
		  "/c:2: socket: /nonexistent: No such file or directory; make that folder, or choose a --socket in "
		  "one you may "
		  "write",
		  -ENOENT },
		{ "model = /etc/passwd\nmetrics-socket = /nonexistent/s\n",
		  "/c:2: metrics-socket: /nonexistent: No such", -ENOENT },
	};
	const char *words[] = { "--config", conf, NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		write_conf(row[i].text, "gap-ms = 0\n", NULL);
		assert_int_equal(parse(words), CONFIG_RUN);
		if (!strstr(row[i].text, "\nsocket"))
			strcpy(c.socket, "/tmp/s");
		assert_int_equal(check_files(&c, false, &e), row[i].code);
		if (!strstr(e.text, row[i].words))
			fail_msg("'%s' does not say '%s'", e.text, row[i].words);
		remove_conf();
	}
	write_conf("model = /etc/passwd\nchat-template = chatml\nsocket = /nonexistent/s\n", NULL, NULL);
	assert_int_equal(parse(words), CONFIG_RUN);
	assert_int_equal(check_files(&c, true, &e), 0); /* the service manager has made the socket */
	remove_conf();
}

/* No more sections than there is room for, whoever writes the file. */
static void too_many_sections_are_refused(void **state)
{
	static char text[8192];

	(void)state;
	memset(&c, 0, sizeof(c));
	for (int i = 0; i < 9; i++)
		sprintf(text + strlen(text), "model = m%d\n", i);
	assert_true(read_text(text, strlen(text)) < 0);
	assert_string_equal(e.text, ":9: model: more than 8");
	memset(&c, 0, sizeof(c));
	*text = 0;
	for (int i = 0; i < 65; i++)
		sprintf(text + strlen(text), "user = %d\n", i);
	assert_true(read_text(text, strlen(text)) < 0);
	assert_string_equal(e.text, ":65: user: more than 64 users and groups");
	memset(&c, 0, sizeof(c));
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
			 "ctx = 1\nthreads = 1\ndraft-max = 1\n");
	for (int i = 0; i < 3; i++) {
		snprintf(piece[i], sizeof(piece[i]), "%s/%s", folder, name[i]);
		write_text(piece[i], text[i]);
	}
	assert_int_equal(config_file_read(&c, path, &e), 0);
	assert_int_equal(c.any.n_ctx, 3);
	assert_int_equal(c.n_thread, 2);
	assert_int_equal(c.any.draft_max, 1);
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
	assert_int_equal(check_config(&c, &e), -EINVAL);
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
					    cmocka_unit_test(a_model_has_its_own_and_what_all_have),
					    cmocka_unit_test(the_command_line_goes_before_files),
					    cmocka_unit_test(users_and_groups_have_quotas),
					    cmocka_unit_test(contradictions_are_named_with_their_line),
					    cmocka_unit_test(files_are_looked_at_before_loading),
					    cmocka_unit_test(too_many_sections_are_refused),
					    cmocka_unit_test(memory_for_no_client_is_refused),
					    cmocka_unit_test(what_is_no_configuration_is_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
