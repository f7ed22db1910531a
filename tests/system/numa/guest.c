/*
 * Why: that every page of a shard lies on its node, and that nothing lands elsewhere in silence, can only be seen on a kernel that
 * has the nodes. This program is the first process of such a machine (boot), with gyred beside it. On the host, with a folder as
 * its argument, it leaves there the model and what gyred says on it: the guest's answers must be the same bits.
 */
#include "tests/daemon/model/tiny.h"
#include "tests/system/numa/seen.h"

#include <sys/mount.h>
#include <sys/reboot.h>

#define OPTIONS "--ctx 512 --batch-rows 64 --drain-seconds 0 "

/* Four heads of keys, so that four nodes can share them; shards of several hundred pages. */
static const struct tiny tiny = { .n_embd = 256,
				  .n_layer = 4,
				  .n_head = 8,
				  .n_head_kv = 4,
				  .head_dim = 32,
				  .n_ff = 2048,
				  .n_vocab = 272,
				  .n_ctx = 512,
				  .type_embd = QUANT_Q8_0,
				  .type_q = QUANT_Q4_1,
				  .type_k = QUANT_Q4_0,
				  .type_v = QUANT_Q5_0,
				  .type_o = QUANT_Q4_0,
				  .type_gate = QUANT_Q4_K,
				  .type_up = QUANT_Q4_0,
				  .type_down = QUANT_Q6_K,
				  .n_token = 272,
				  .is_tied = true };

static struct token want[STREAM];

static void the_doctor_sees_the_nodes(void **state)
{
	char *argv[32] = { (char *)"./gyre" };

	(void)state;
	gyred_spawn(argv, 1, "doctor", NULL);
	assert_int_equal(gyred_wait(), 0);
	if (!strstr(gyred_said, "2 nodes"))
		fail_msg("gyre doctor says:\n%s", gyred_said);
}

/* gyred with options, up and with its answer given, which is the host's. */
static void serve(const char *options, void (*before)(void))
{
	struct token got[STREAM];
	char all[256];

	snprintf(all, sizeof(all), OPTIONS "%s", options);
	gyred_start(all, before);
	gyred_stream(got);
	if (memcmp(got, want, sizeof(want)))
		fail_msg("gyred %s does not answer as on the host; it said:\n%s", options, gyred_said);
}

static void threads_are_pinned(int a, int b, int c, int d)
{
	int n[N_CPU];

	seen_pinned(n);
	if (n[0] != a || n[1] != b || n[2] != c || n[3] != d)
		fail_msg("threads pinned to CPU 0..3: %d %d %d %d, not %d %d %d %d; gyred said:\n%s", n[0], n[1], n[2],
			 n[3], a, b, c, d, gyred_said);
}

static void the_answer_is_the_hosts(void **state)
{
	(void)state;
	serve("", NULL);
	threads_are_pinned(1, 1, 1, 1);
	assert_int_equal(gyred_stop(), 0);
	serve("--threads 1", NULL);
	assert_int_equal(gyred_stop(), 0);
}

static int prepare(const char *dir)
{
	FILE *f;

	if (chdir(dir) || tiny_write(MODEL, &tiny))
		return 1;
	gyred_start(OPTIONS "--threads 1", NULL);
	gyred_stream(want);
	gyred_stop();
	unlink("log");
	f = fopen("want", "wb");
	return !f || fwrite(want, sizeof(want), 1, f) != 1 || fclose(f);
}

/* The first process of the machine has all of this to do itself. */
static int machine_setup(void **state)
{
	int console, r;
	FILE *f;

	(void)state;
	r = mount("proc", "/proc", "proc", 0, NULL) || mount("sys", "/sys", "sysfs", 0, NULL) ||
	    mount("dev", "/dev", "devtmpfs", 0, NULL) || mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	if (r)
		return r;
	console = open("/dev/ttyS1", O_WRONLY);
	dup2(console, 1);
	dup2(console, 2);
	f = fopen("want", "rb");
	return !f || fread(want, sizeof(want), 1, f) != 1 || fclose(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_doctor_sees_the_nodes, gyred_kill),
		cmocka_unit_test_teardown(the_answer_is_the_hosts, gyred_kill),
	};
	int r;

	if (getpid() != 1)
		return argc != 2 || prepare(argv[1]);
	r = cmocka_run_group_tests(tests, machine_setup, NULL);
	printf("guest: exit %d\n", r);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return r;
}
