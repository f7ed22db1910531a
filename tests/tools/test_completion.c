/*
 * Why: a completion that its shell does not take breaks every prompt of a user who installs the package. So each shell that is here reads
 * what the build made, and bash, which is everywhere, completes words with it.
 */
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *build(void)
{
	return getenv("BUILD") ? getenv("BUILD") : "build";
}

static bool has(const char *shell)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", shell);
	return system(command) == 0;
}

static void each_shell_reads_its_own(void **state)
{
	static const char *const shell[] = { "bash", "zsh", "fish" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		char command[512];

		if (!has(shell[i])) {
			printf("skip: completions are not looked at by %s, which is missing\n", shell[i]);
			continue;
		}
		for (int k = 0; k < 2; k++) {
			snprintf(command, sizeof(command), "test -s %s/completions/%s.%s && %s -n %s/completions/%s.%s",
				 build(), k ? "gyre" : "gyred", shell[i], shell[i], build(), k ? "gyre" : "gyred",
				 shell[i]);
			if (system(command) != 0)
				fail_msg("%s", command);
		}
	}
}

/* What bash offers for a line of words[n], the last of which is being written. */
static void offer(const char *line, char *out, size_t n)
{
	char command[2048];
	FILE *f;

	snprintf(command, sizeof(command),
		 "bash -c 'source %s/completions/gyre.bash; source %s/completions/gyred.bash; COMP_WORDS=(%s); "
		 "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _${COMP_WORDS[0]}; echo \" ${COMPREPLY[*]} \"' 2>&1",
		 build(), build(), line);
	f = popen(command, "r");
	assert_non_null(f);
	out[fread(out, 1, n - 1, f)] = 0;
	pclose(f);
}

static void bash_offers_what_is_taken(void **state)
{
	static const struct {
		const char *line, *has, *lacks;
	} row[] = {
		{ "gyred --sock", " --socket --socket-mode --socket-group ", "--model" },
		{ "gyred --log-level \"\"", " off errors requests debug ", "--" },
		{ "gyred --log-level = e", " errors ", "off" },
		{ "gyred --isa re", " ref ", "auto" },
		{ "gyred --model shm/ab", " shm/abi.c shm/abi.h ", "--" },
		{ "gyred --user roo", " root ", "--" },
		{ "gyred --", "--max-tokens-per-second", "--temp" },
		{ "gyre ru", " run ", "chat" },
		{ "gyre \"\"", " bench ", "ring" },
		{ "gyre bench \"\"", " ring ", "run" },
		{ "gyre bench ring --so", " --socket ", "--steps" },
		{ "gyre bench ring --st", "  ", "--st" }, /* another verb's */
		{ "gyre run --te", " --temp --template-arg ", "--socket" },
		{ "gyre run -m shm/abi.", " shm/abi.c shm/abi.h ", "--" },
		{ "gyre inspect shm/abi.", " shm/abi.c shm/abi.h ", "--" },
		{ "gyre completion \"\"", " bash zsh fish ", "--" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char out[8192];

		offer(row[i].line, out, sizeof(out));
		if (!strstr(out, row[i].has) || strstr(out, row[i].lacks))
			fail_msg("%s: offered are%s", row[i].line, out);
	}
}

/* Reads what the terminal shows until it has `words`. */
static void read_until(int fd, const char *words)
{
	static char shown[65536];
	size_t n = 0;

	while (n < sizeof(shown) - 1) {
		ssize_t got = read(fd, shown + n, sizeof(shown) - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
		shown[n] = 0;
		if (strstr(shown, words))
			return;
	}
	fail_msg("no '%s' in: %s", words, shown);
}

/* The whole way: a person at a terminal presses the tab key. */
static void a_tab_completes(void **state)
{
	char line[512];
	int fd, status;
	pid_t pid = forkpty(&fd, NULL, NULL, NULL);

	(void)state;
	if (pid == 0) {
		setenv("PS1", "ready> ", 1);
		setenv("TERM", "dumb", 1);
		execlp("bash", "bash", "--norc", "--noprofile", "-i", (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	alarm(60);
	read_until(fd, "ready> ");
	snprintf(line, sizeof(line), "source %s/completions/gyred.bash; echo so''urced\n", build());
	assert_true(write(fd, line, strlen(line)) > 0);
	read_until(fd, "sourced\r\n");
	assert_true(write(fd, "gyred --max-po\t", 15) == 15);
	read_until(fd, "gyred --max-positions");
	alarm(0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_shell_reads_its_own),
					    cmocka_unit_test(bash_offers_what_is_taken),
					    cmocka_unit_test(a_tab_completes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
