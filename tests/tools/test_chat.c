/*
 * Why: what is typed or pasted at a terminal is what the model is asked: whole, as one question, in UTF-8. The tool runs on a
 * pseudo-terminal; with a vocabulary of bytes, the number of a prompt's tokens tells how many of them arrived.
 */
#include "tests/daemon/appliance.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <utmp.h>

#define PATIENCE_S 600
#define N_CTX      16384
#define UP         "\033[A"
#define PASTE(s)   "\033[200~" s "\033[201~"

static struct appliance a;
static unsigned n_bare; /* tokens of a question, less its bytes */

static struct {
	pid_t pid;
	int fd;
	char out[1 << 18];
	size_t n, at; /* at: behind what was expected last */
} tty;

/* Starts gyre with words, on a terminal. */
static void start(const char *term, const char *words)
{
	const char *build = getenv("BUILD");
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	char command[512];

	snprintf(command, sizeof(command), "exec %s/gyre %s", build ? build : "build", words);
	memset(&tty, 0, sizeof(tty));
	tty.pid = forkpty(&tty.fd, NULL, NULL, &size);
	assert_true(tty.pid >= 0);
	if (tty.pid == 0) {
		setenv("TERM", term, 1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
}

/* What it shows more of; false: it has ended. */
static bool hear(void)
{
	struct pollfd p = { .fd = tty.fd, .events = POLLIN };
	ssize_t n;

	assert_int_equal(poll(&p, 1, PATIENCE_S * 1000), 1);
	n = read(tty.fd, tty.out + tty.n, sizeof(tty.out) - 1 - tty.n);
	tty.n += n > 0 ? (size_t)n : 0;
	tty.out[tty.n] = 0;
	return n > 0;
}

/* Reads on until text has come. Returns what follows it. */
static const char *expect(const char *text)
{
	const char *found;

	while (!(found = strstr(tty.out + tty.at, text)))
		if (!hear())
			fail_msg("'%s' did not come, but: %s", text, tty.out + tty.at);
	tty.at = (size_t)(found - tty.out) + strlen(text);
	return tty.out + tty.at;
}

/* All of it, while it shows things: neither side may wait for the other. */
static void type_bytes(const char *p, size_t n)
{
	while (n) {
		struct pollfd f = { .fd = tty.fd, .events = POLLIN | POLLOUT };

		assert_int_equal(poll(&f, 1, PATIENCE_S * 1000), 1);
		if (f.revents & POLLIN)
			assert_true(hear());
		if (f.revents & POLLOUT) {
			ssize_t got = write(tty.fd, p, n < 512 ? n : 512);

			assert_true(got > 0);
			p += got;
			n -= (size_t)got;
		}
	}
}

static void type(const char *text)
{
	type_bytes(text, strlen(text));
}

static int end(void)
{
	int status;

	while (hear())
		;
	close(tty.fd);
	assert_int_equal(waitpid(tty.pid, &status, 0), tty.pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int leave(void)
{
	type("\004");
	return end();
}

/* Bytes of the next question that is answered, and those of the talk before it. */
static unsigned asked(void)
{
	unsigned n;

	expect("prompt: ");
	while (!strstr(tty.out + tty.at, " tokens"))
		assert_true(hear());
	assert_int_equal(sscanf(tty.out + tty.at, "%u", &n), 1);
	expect("answer: ");
	return n - n_bare;
}

/* The first question of a talk: typed is what keys say, n the bytes that must arrive. */
static void ask_one(const char *typed, unsigned n)
{
	unsigned got;

	start("xterm", "chat --max 1 -v --no-history");
	expect(">>> ");
	type(typed);
	got = asked();
	if (got != n)
		fail_msg("'%s': %u bytes arrived, not %u", typed, got, n);
	expect(">>> ");
	assert_int_equal(leave(), 0);
}

static int setup(void **state)
{
	struct tiny model = tiny_served;
	char *extra[] = { (char *)"--ctx", (char *)"16384", NULL };

	(void)state;
	model.n_ctx = N_CTX;
	appliance_open(&a, &model, extra, true);
	setenv("GYRE_SOCKET", a.socket, 1);
	setenv("DIR", a.dir, 1);
	setenv("HOME", a.dir, 1);
	setenv("XDG_STATE_HOME", a.dir, 1);
	n_bare = 0;
	start("xterm", "chat --max 1 -v --no-history");
	type("x\r");
	n_bare = asked() - 1;
	assert_int_equal(leave(), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(system("rm -rf $DIR/gyre"), 0);
	appliance_close(&a);
	return 0;
}

static void a_paste_is_one_question(void **state)
{
	(void)state;
	ask_one(PASTE("one\rtwo\rthree") "\r", 13);
	ask_one(PASTE("one\r\ntwo\nthree\r") "\r", 13); /* what ends it is no part of it */
	ask_one("a" PASTE("b\rc") "d\r", 5);
	ask_one(PASTE("/usr/bin\r/bye") "\r", 13);
	ask_one("/usr/bin\r", 8);
	ask_one(PASTE("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") "\r", 10);
}

/* Not seen as a paste while an answer runs, it would be as many questions as it has lines. */
static void a_paste_during_an_answer_is_one_question(void **state)
{
	(void)state;
	start("xterm", "chat --max 400 -v --no-history");
	expect(">>> ");
	type("x\r" PASTE("one\rtwo\rthree"));
	asked();
	expect("two");
	expect("three");
	type("\r");
	asked();
	expect(">>> ");
	assert_int_equal(leave(), 0);
}

static void nothing_is_cut(void **state)
{
	static char text[10001];

	(void)state;
	memset(text, 'x', 10000);
	start("xterm", "chat --max 1 -v --no-history");
	expect(">>> ");
	type(text);
	type("\r");
	assert_int_equal(asked(), 10000);
	assert_int_equal(leave(), 0);
	start("xterm", "run --max 1 -v");
	expect("Ctrl-D");
	type(text);
	type("\r\004");
	assert_int_equal(asked(), 10000);
	assert_int_equal(end(), 0);
}

/* Where the kernel edits the line, it has cut it: that is said, and the stump is not asked. */
static void a_cut_line_is_not_asked(void **state)
{
	static char text[5001];

	(void)state;
	memset(text, 'x', 5000);
	start("dumb", "chat --max 1 -v");
	expect(">>> ");
	type("x\n");
	assert_int_equal(asked(), 1);
	expect(">>> ");
	type(text);
	type("\n");
	expect("cuts lines at 4095 bytes");
	expect(">>> ");
	assert_int_equal(leave(), 0);
	assert_null(strstr(tty.out + tty.at, "prompt:"));
	start("dumb", "run --max 1 -v");
	type(text);
	type("\n\004");
	expect("cuts lines at 4095 bytes");
	assert_int_equal(end(), 1);
}

static void lines_go_on(void **state)
{
	(void)state;
	ask_one("one\\\rtwo\\\r\r", 8); /* "one\ntwo\n" */
	ask_one("\"\"\"\rone\r\rtwo\r\"\"\"\r", 8);
	ask_one("\"\"\"one\rtwo\"\"\"\r", 7);
	ask_one("\"\"\"one\"\"\"\r", 3);
	ask_one("say \"\"\" now\r", 11);
	ask_one(PASTE("\"\"\"\rone\rtwo\r\"\"\"") "\r", 7);
}

static void letters_are_edited_whole(void **state)
{
	(void)state;
	ask_one("a\xc3\xa9\xe2\x82\xac\177\r", 3);     /* the euro sign is taken back */
	ask_one("\xc3\xa9\xe2\x82\xac\002\002z\r", 6); /* two to the left */
	ask_one("one two\027"
		"three\r",
		9);                    /* a word back */
	ask_one("never\003sent\r", 4); /* Ctrl-C begins anew */
	ask_one("a\377b\r", 5);        /* a byte that is no UTF-8: U+FFFD */
}

static void history_is_kept_for_its_owner(void **state)
{
	char path[160];
	struct stat s;

	(void)state;
	snprintf(path, sizeof(path), "%s/gyre/history", a.dir);
	start("xterm", "chat --max 1 -v");
	expect(">>> ");
	type("first\r");
	assert_int_equal(asked(), 5);
	type(PASTE("sec\rond \xc3\xa9") "\r");
	asked();
	assert_int_equal(leave(), 0);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 07777, 0600);
	for (int i = 0; i < 2; i++) { /* another session, and one more: both find both */
		start("xterm", "chat --max 1 -v");
		expect(">>> ");
		type(i ? UP UP "\r" : UP "\r");
		assert_int_equal(asked(), i ? 5 : 10);
		assert_int_equal(leave(), 0);
	}
	start("xterm", "chat --max 1 -v --no-history");
	expect(">>> ");
	type("secret\r");
	asked();
	assert_int_equal(leave(), 0);
	assert_int_equal(system("! grep -q secret $DIR/gyre/history"), 0);
}

static void no_history_makes_no_file(void **state)
{
	(void)state;
	ask_one("x\r", 1);
	assert_int_equal(system("test ! -e $DIR/gyre"), 0);
	setenv("XDG_STATE_HOME", "/proc/nowhere", 1);
	start("xterm", "chat --max 1 -v");
	expect("is not kept: /proc/nowhere/gyre/history: ");
	expect(">>> ");
	type("x\r");
	assert_int_equal(asked(), 1);
	assert_int_equal(leave(), 0);
}

/* Ctrl-C: the answer ends, the talk goes on. Ctrl-D, on an empty line, leaves. */
static void an_interrupt_ends_the_answer_alone(void **state)
{
	(void)state;
	start("xterm", "chat -v --no-history");
	expect(">>> ");
	type("x\r");
	expect("\n"); /* it has been sent */
	type("\003");
	asked();
	expect(">>> ");
	type("\003");
	expect("Ctrl-D leaves");
	expect(">>> ");
	type("/nosuch\r");
	expect("no such command");
	expect(">>> ");
	type("/help\r");
	expect("goes on");
	type("/bye\r");
	assert_int_equal(end(), 0);
	start("xterm", "run");
	expect("Ctrl-D");
	type("x\003");
	assert_int_equal(end(), 130);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* However it ends, the shell gets back a terminal that shows what is typed. */
static void a_signal_gives_the_terminal_back(void **state)
{
	static const int number[] = { SIGTERM, SIGHUP, SIGQUIT };
	struct termios t;
	int status;

	(void)state;
	for (int i = 0; i < 3; i++) {
		start("xterm", "chat");
		expect(">>> ");
		assert_int_equal(tcgetattr(tty.fd, &t), 0);
		assert_false(t.c_lflag & ICANON);
		kill(tty.pid, number[i]);
		expect("\033[?2004l");
		while (hear())
			;
		assert_int_equal(waitpid(tty.pid, &status, 0), tty.pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == number[i]);
		assert_int_equal(tcgetattr(tty.fd, &t), 0);
		assert_true(t.c_lflag & ICANON && t.c_lflag & ECHO);
		close(tty.fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { CASE(a_paste_is_one_question),
					    CASE(a_paste_during_an_answer_is_one_question),
					    CASE(nothing_is_cut),
					    CASE(a_cut_line_is_not_asked),
					    CASE(lines_go_on),
					    CASE(letters_are_edited_whole),
					    CASE(history_is_kept_for_its_owner),
					    CASE(no_history_makes_no_file),
					    CASE(an_interrupt_ends_the_answer_alone),
					    CASE(a_signal_gives_the_terminal_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
