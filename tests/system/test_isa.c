/*
 * Why: one binary goes to machines of every age. On a CPU that lacks an extension, gyred must start on the kernels that the CPU
 * has, never die of an illegal instruction, and say so when that makes it slow. qemu's user mode plays the older CPUs; it has
 * no io_uring and no signalfd, so gyred goes the other ways.
 */
#include "kernels/kernels.h"
#include "tests/util/sanitized.h"
#include "tests/util/tiny.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct tiny tiny = { 64,
				  1,
				  4,
				  2,
				  16,
				  64,
				  272,
				  64,
				  .type_embd = QUANT_Q8_0,
				  .type_q = QUANT_Q4_1,
				  .type_k = QUANT_Q4_0,
				  .type_v = QUANT_MXFP4,
				  .type_o = QUANT_IQ4_NL,
				  .type_gate = QUANT_F16,
				  .type_up = QUANT_Q5_0,
				  .type_down = QUANT_Q5_1,
				  .n_token = 272,
				  .is_tied = true };

static char model[64], said[16384];

/* gyred with `words` on a CPU model of qemu's until it is ready or has ended; keeps what it said. false: qemu cannot run it. */
static bool gyred(const char *cpu, const char *words)
{
	const char *build = getenv("BUILD");
	char command[512];
	int fd[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	snprintf(command, sizeof(command), "exec timeout 60 qemu-x86_64 -cpu %s %s/gyred %s 2>&1 </dev/null", cpu,
		 build ? build : "build", words);
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], 1);
		close(fd[0]);
		close(fd[1]);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(fd[1]);
	while (n < sizeof(said) - 1 && (got = read(fd[0], said + n, sizeof(said) - 1 - n)) > 0) {
		said[n += (size_t)got] = 0;
		if (strstr(said, "ready in"))
			kill(pid, SIGTERM);
	}
	said[n] = 0;
	close(fd[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) != 127;
}

static void expect(const char *cpu, const char *words, const char *want)
{
	char all[256];

	snprintf(all, sizeof(all), "--model %s --socket %s.s --threads 1 %s", model, model, words);
	gyred(cpu, all);
	if (!strstr(said, want))
		fail_msg("on %s gyred does not say '%s' but:\n%s", cpu, want, said);
}

static void an_older_cpu_runs_on_what_it_has(void **state)
{
	(void)state;
	if (is_sanitized("qemu-x86_64 cannot give the terabytes of addresses that a sanitizer reserves"))
		skip();
	if (kernels_isa_parse("avx2") == ISA_MAX || !gyred("max", "--help")) { /* another machine; 127: no qemu */
		puts("skip: qemu-x86_64 is missing or cannot run this build (tools/setup --dev installs it)");
		skip();
	}
	expect("Nehalem", "", "kernels: ref: this CPU has no avx2, fma, f16c");
	assert_non_null(strstr(said, "ready in"));
	expect("SandyBridge", "", "kernels: ref: this CPU has no avx2, fma, f16c");
	expect("Haswell", "", "kernels: avx2\n");
	assert_non_null(strstr(said, "ready in"));
	/* Asked for, it is no surprise. */
	expect("Haswell", "--isa ref", "kernels: ref\n");
	expect("Nehalem", "--isa avx2", "isa: avx2 needs avx2, fma, f16c, which this CPU does not have");
	expect("Haswell", "--isa avx512vnni",
	       "isa: avx512vnni needs avx512f, avx512bw, avx512vl, avx512dq, avx512_vnni, which this CPU does not "
	       "have; "
	       "it runs ref, avx2; --isa auto takes the best");
}

static int setup(void **state)
{
	(void)state;
	snprintf(model, sizeof(model), "/tmp/gyre-isa-%d.gguf", (int)getpid());
	return tiny_write(model, &tiny);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_older_cpu_runs_on_what_it_has),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
