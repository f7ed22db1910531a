/* The promises a client lives by, on the real daemon: its stream is a function of its request, and no other client's doing. */
#include "tests/system/boot.h"

#include <errno.h>

#define PROMPT "The capital of France is"

static void start(struct gyre *g, const char *prompt, uint32_t max_tokens, uint64_t user_data, uint8_t flags)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_non_null(sqe);
	assert_int_equal(gyre_prep_generate(g, sqe, prompt, strlen(prompt), max_tokens), 0);
	sqe->user_data = user_data;
	sqe->flags |= flags;
	assert_true(gyre_submit(g) >= 0);
}

/* Reads one stream to its end: ids and logprobs; returns the last completion's res. */
static int collect(struct gyre *g, int32_t *id, float *logprob, int *n)
{
	const struct gyre_cqe *cqe;

	for (*n = 0;;) {
		int res;
		uint32_t flags;

		assert_int_equal(gyre_wait_cqe(g, &cqe, 60000000000ull), 0);
		res = cqe->res;
		flags = cqe->flags;
		if ((flags & GYRE_CQE_MORE) && cqe->token >= 0) {
			id[*n] = cqe->token;
			logprob[(*n)++] = cqe->logprob;
		}
		gyre_cqe_seen(g, cqe);
		if (!(flags & GYRE_CQE_MORE))
			return res;
	}
}

static void wait_for_stat(struct gyre *g, const char *want)
{
	char text[2048] = "";

	for (int i = 0; i < 15000 && !strstr(text, want); i++) {
		usleep(20000);
		assert_true(gyre_query_stats(g, text, sizeof(text)) > 0);
	}
	assert_non_null(strstr(text, want));
}

/* Threads, gap, ISA and drafts change speed, and not one bit. */
static void test_determinism(void **state)
{
	char *const variant[][7] = { { NULL },
				     { (char *)"--threads", (char *)"1", (char *)"--gap-ms", (char *)"1", NULL },
				     { (char *)"--isa", (char *)"ref", NULL },
				     { (char *)"--draft-min", (char *)"4", NULL } };
	int32_t want[32], got[32];
	float want_p[32], got_p[32];
	int n_want = 0, n;

	(void)state;
	for (size_t v = 0; v < sizeof(variant) / sizeof(variant[0]); v++) {
		struct boot b;
		struct gyre *g;

		boot_up(&b, variant[v]);
		g = boot_connect(&b, NULL);
		start(g, PROMPT, 24, 1, GYRE_SQE_IGNORE_EOS);
		assert_int_equal(collect(g, v ? got : want, v ? got_p : want_p, v ? &n : &n_want), 0);
		gyre_close(g);
		assert_int_equal(boot_down(&b), 0);
		if (!v)
			continue;
		assert_int_equal(n, n_want);
		assert_memory_equal(got, want, sizeof(want[0]) * (size_t)n);
		assert_memory_equal(got_p, want_p, sizeof(want_p[0]) * (size_t)n);
	}
	assert_int_equal(n_want, 24);
}

/* kill -9 in mid-stream: everything it held returns. */
static void test_killed_client(void **state)
{
	struct boot b;
	struct gyre *g;
	pid_t pid;

	(void)state;
	boot_up(&b, NULL);
	g = boot_connect(&b, NULL);
	pid = fork();
	if (pid == 0) {
		struct gyre *mine = boot_connect(&b, NULL);

		start(mine, PROMPT, 0, 1, GYRE_SQE_IGNORE_EOS);
		pause();
		_exit(0);
	}
	wait_for_stat(g, "\"live\":1,");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_for_stat(g, "\"live\":0,");
	wait_for_stat(g, "\"sessions\":1,");
	wait_for_stat(g, "\"kv_blocks\":64,\"kv_blocks_free\":64,");
	gyre_close(g);
	assert_int_equal(boot_down(&b), 0);
}

/* A client that never reads its CQ pauses itself alone, and loses nothing. */
static void test_lazy_client(void **state)
{
	struct gyre_params small = { .cq_entries = 8 };
	int32_t id[64];
	float p[64];
	struct boot b;
	struct gyre *lazy, *g;
	int n;

	(void)state;
	boot_up(&b, NULL);
	lazy = boot_connect(&b, &small);
	g = boot_connect(&b, NULL);
	start(lazy, PROMPT, 32, 1, GYRE_SQE_IGNORE_EOS);
	start(g, PROMPT, 16, 2, GYRE_SQE_IGNORE_EOS);
	assert_int_equal(collect(g, id, p, &n), 0);
	assert_int_equal(n, 16);
	assert_int_equal(collect(lazy, id, p, &n), 0);
	assert_int_equal(n, 32);
	gyre_close(lazy);
	gyre_close(g);
	assert_int_equal(boot_down(&b), 0);
}

static void test_bad_entries(void **state)
{
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe;
	struct boot b;
	struct gyre *g;

	(void)state;
	boot_up(&b, NULL);
	g = boot_connect(&b, NULL);
	sqe = gyre_get_sqe(g);
	sqe->opcode = 99;
	sqe = gyre_get_sqe(g);
	sqe->opcode = GYRE_OP_GENERATE;
	sqe->data_off = UINT32_MAX;
	sqe->data_len = UINT32_MAX;
	sqe = gyre_get_sqe(g);
	sqe->reserved = 1;
	gyre_submit(g);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, 10000000000ull), 0);
		assert_int_equal(cqe->res, i == 0 ? -EOPNOTSUPP : -EINVAL);
		gyre_cqe_seen(g, cqe);
	}
	gyre_close(g);
	assert_int_equal(boot_down(&b), 0);
}

/* `gyre stat --steps` shows what the daemon counts here: passes and rows of a stream, and that none of its time is nowhere. A daemon that has
 * just started learns what rows take one by one: so each of a short prompt has a pass of its own. */
static void test_steps_are_timed(void **state)
{
	char *const args[] = { (char *)"--threads", (char *)"1", NULL };
	int32_t id[8];
	float logprob[8];
	struct boot b;
	struct gyre *g;
	int n;

	(void)state;
	boot_up(&b, args);
	g = boot_connect(&b, NULL);
	start(g, PROMPT, 4, 1, GYRE_SQE_IGNORE_EOS);
	assert_int_equal(collect(g, id, logprob, &n), 0);
	assert_int_equal(n, 4);
	wait_for_stat(g, "\"step\":{\"layers\":30,\"passes\":8,\"rows\":8,\"barriers\":0,");
	gyre_close(g);
	assert_int_equal(boot_down(&b), 0);
}

/* A live daemon's socket is refused; a dead one's is taken over. */
static void test_socket_in_use(void **state)
{
	struct boot b;
	struct gyre *g;
	int status;
	pid_t pid;

	(void)state;
	boot_up(&b, NULL);
	g = boot_connect(&b, NULL);
	pid = boot_spawn(b.socket, NULL);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	gyre_close(g);
	kill(b.pid, SIGKILL);
	waitpid(b.pid, &status, 0);
	assert_int_equal(access(b.socket, F_OK), 0);
	b.pid = boot_spawn(b.socket, NULL);
	g = boot_connect(&b, NULL);
	gyre_close(g);
	assert_int_equal(boot_down(&b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_determinism),   cmocka_unit_test(test_killed_client),
		cmocka_unit_test(test_lazy_client),   cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_socket_in_use), cmocka_unit_test(test_steps_are_timed)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
