/*
 * Journals and terminals take a log line for what the daemon says. A name out of a model file or from a peer that could
 * start a second line, or carry an escape sequence, would speak in the daemon's voice.
 */
#include "daemon/util/error.h"
#include "daemon/util/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
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
	setenv("JOURNAL_STREAM", "1:2", 1);
	capture(buf, sizeof(buf), "x");
	assert_string_equal(buf, "<4>say x\n");
	memset(large, 'y', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	capture(buf, sizeof(buf), large);
	assert_true(strlen(buf) < 1100);
	assert_ptr_equal(strchr(buf, '\n'), buf + strlen(buf) - 1);
	unsetenv("JOURNAL_STREAM");
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
		cmocka_unit_test(test_error_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
