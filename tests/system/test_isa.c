/*
 * Why: one binary goes to machines of every age. On a CPU that lacks an extension, gyred must start on the kernels that the CPU
 * has, never die of an illegal instruction, and say so when that makes it slow. qemu's user mode plays the older CPUs; it has
 * no io_uring, so gyred ends once it is ready, and what it said on the way is the test.
 */
#include "tests/daemon/model/tiny.h"

#include <setjmp.h>
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

/* gyred with `words` on a CPU model of qemu's; keeps what it said. Its exit status, or -1. */
static int gyred(const char *cpu, const char *words)
{
	const char *build = getenv("BUILD");
	char command[512];
	int status;
	FILE *f;

	snprintf(command, sizeof(command), "timeout 20 qemu-x86_64 -cpu %s %s/gyred %s 2>&1 </dev/null", cpu,
		 build ? build : "build", words);
	f = popen(command, "r");
	assert_non_null(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = 0;
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
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
	if (gyred("max", "--help")) { /* 127: no qemu. Sanitizers reserve address space that it cannot give. */
		puts("skip: qemu-x86_64 is missing or cannot run this build (tools/setup --dev installs it)");
		skip();
	}
	expect("Nehalem", "", "kernels: ref: this CPU has no AVX2");
	assert_non_null(strstr(said, "ready in"));
	expect("SandyBridge", "", "kernels: ref: this CPU has no AVX2");
	expect("Haswell", "", "kernels: avx2\n");
	assert_non_null(strstr(said, "ready in"));
	/* Asked for, it is no surprise. */
	expect("Haswell", "--isa ref", "kernels: ref\n");
	expect("Nehalem", "--isa avx2", "isa: this CPU has no avx2");
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
