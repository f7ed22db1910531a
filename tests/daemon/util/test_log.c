/*
 * Journals and terminals take a log line for what the daemon says. A name out of a model file or from a peer that could
 * start a second line, or carry an escape sequence, would speak in the daemon's voice.
 */
#include "daemon/util/error.h"
#include "daemon/util/log.h"
#include "daemon/util/log_limit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* What log_warn writes to stderr. */
static void capture(char *buf, size_t n, const char *text)
{
	int saved = dup(STDERR_FILENO), fd[2];
	ssize_t got;

	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	log_warn("say %s", text);
	dup2(saved, STDERR_FILENO);
	got = read(fd[0], buf, n - 1);
	assert_true(got > 0);
	buf[got] = '\0';
	close(fd[0]), close(fd[1]), close(saved);
}

static void test_one_line(void **state)
{
	char buf[4096], large[3000];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture(buf, sizeof(buf), "a\nb\033c");
	assert_string_equal(buf, "say a b c\n");
	memset(large, 'y', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	capture(buf, sizeof(buf), large);
	assert_true(strlen(buf) < 1100);
	assert_ptr_equal(strchr(buf, '\n'), buf + strlen(buf) - 1);
	unsetenv("JOURNAL_STREAM");
}

/* Set for a service, and inherited by a shell below it: only the stream that it names is the journal's. */
static void test_journal(void **state)
{
	char buf[4096], stream[64], *text = buf;
	int saved = dup(STDERR_FILENO), fd[2];
	struct stat st;

	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1);
	capture(buf, sizeof(buf), "x");
	assert_string_equal(text, "say x\n");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	capture(buf, sizeof(buf), "x");
	assert_string_equal(text, "say x\n");
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(fstat(fd[1], &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(fd[1], STDERR_FILENO);
	log_warn("x");
	dup2(saved, STDERR_FILENO);
	buf[read(fd[0], buf, sizeof(buf) - 1)] = 0;
	assert_string_equal(text, "<4>x\n");
	unsetenv("JOURNAL_STREAM");
	close(fd[0]), close(fd[1]), close(saved);
}

/* Ten thousand refusals are two lines: the first, and how many more there were. Others' lines are not lost among them. */
static void test_limit(void **state)
{
	static const char kind[] = "connections refused", other[] = "other";
	static struct log_limit l;
	int saved = dup(STDERR_FILENO), fd[2], n_passed = 0, n_surplus = 0;
	uint64_t now = 1000000000;
	char buf[8192];
	ssize_t n;

	(void)state;
	for (int i = 0; i < 10000; i++)
		n_passed += log_limit_pass(&l, kind, 7, now + (uint64_t)i);
	assert_int_equal(n_passed, 1);
	assert_true(log_limit_pass(&l, kind, 8, now));
	assert_true(log_limit_pass(&l, other, 7, now));
	for (uint32_t uid = 100; uid < 1100; uid++)
		n_surplus += log_limit_pass(&l, kind, uid, now);
	assert_int_equal(n_surplus, LOG_LIMIT_SLOT - 3);
	assert_true(log_limit_flush(&l, now + LOG_LIMIT_NS - 1));
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	assert_false(log_limit_flush(&l, now + LOG_LIMIT_NS + 500000000));
	dup2(saved, STDERR_FILENO);
	n = read(fd[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = 0;
	assert_non_null(strstr(buf, "connections refused, of uid 7: 9999 more in 10 s\n"));
	assert_non_null(strstr(buf, "connections refused, of other uids: 971 more in 10 s\n"));
	assert_true(log_limit_pass(&l, kind, 7, now + LOG_LIMIT_NS + 500000001));
	close(fd[0]), close(fd[1]), close(saved);
}

static void test_error_text(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(error_set(&e, -EINVAL, "tensor '%s'", "a\033[2J"), -EINVAL);
	assert_string_equal(e.text, "tensor 'a?[2J'");
	assert_int_equal(error_set(NULL, -EIO, "x"), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_error_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
