/*
 * Why: on a shared node an administrator writes down what each user may have, and a program has to learn of its limit what it can act on:
 * an errno of its own, and in words the number and the way on. Each quota is hit here by real users at the real gyred; another user, who
 * has none, gets what he asks for meanwhile.
 */
#include "tests/system/tinyd.h"

#include <errno.h>
#include <grp.h>

#define FULL_UID   61001 /* of many quotas */
#define RATE_UID   61002
#define MODEL_UID  61003
#define MEMBER_UID 61004 /* of two groups that have quotas */
#define FREE_UID   61005
#define FIRST_GID  61010
#define SECOND_GID 61011

static const char configuration[] = "user = 61001\n"
				    "max-sessions = 2\nmax-arena-bytes = 4M\nmax-requests = 2\nmax-positions = 200\n"
				    "max-priority = 140\n"
				    "user = 61002\nmax-tokens-per-second = 5\n"
				    "user = 61003\nmodels = b\n"
				    "group = 61011\nmax-sessions = 7\n"
				    "group = 61010\nmax-sessions = 5\n";

static struct tinyd d;
static char config[96];
static char words[512];

static int connect_as(uid_t uid, struct gyre **g, struct gyre_params p)
{
	int r;

	words[0] = 0;
	p.error = words;
	p.error_bytes = sizeof(words);
	assert_int_equal(seteuid(uid), 0);
	*g = NULL;
	r = gyre_connect(g, d.socket, &p);
	assert_int_equal(seteuid(0), 0);
	return r;
}

/* gyred may not have seen yet that the sessions of the test before are closed. */
static struct gyre *session_of(uid_t uid, uint32_t cq_entries)
{
	const struct gyre_params p = { .arena_bytes = 65536, .cq_entries = cq_entries };
	struct gyre *g = NULL;

	for (int i = 0; i < 60000 && connect_as(uid, &g, p) == -EUSERS; i++)
		usleep(1000);
	if (!g)
		fail_msg("uid %u: %s", (unsigned)uid, words);
	return g;
}

static struct gyre *session_as(uid_t uid)
{
	return session_of(uid, 0);
}

static void submit(struct gyre *g, uint64_t name, uint32_t n_prompt, uint32_t n, int priority)
{
	static const char text[4096] = { [0 ... 4095] = 'a' };
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_non_null(sqe);
	assert_int_equal(gyre_prep_generate(g, sqe, text, n_prompt, n), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS | GYRE_SQE_NO_BOS;
	sqe->user_data = name;
	if (priority >= 0)
		sqe->priority = (uint16_t)priority;
	assert_int_equal(gyre_submit(g), 1);
}

/* The next end of a request: its name, its result, and words. */
static uint64_t wait_end(struct gyre *g, int *res)
{
	const struct gyre_cqe *cqe;
	uint64_t name;
	bool has_more;

	do {
		size_t n;
		const void *p;

		assert_int_equal(gyre_wait_cqe(g, &cqe, TINYD_WAIT_NS), 0);
		has_more = cqe->flags & GYRE_CQE_MORE;
		name = cqe->user_data;
		*res = cqe->res;
		p = gyre_cqe_bytes(g, cqe, &n);
		snprintf(words, sizeof(words), "%.*s", *res < 0 ? (int)n : 0, (const char *)p);
		gyre_cqe_seen(g, cqe);
	} while (has_more);
	return name;
}

static int end_of(struct gyre *g, uint64_t name)
{
	int res;

	assert_int_equal(wait_end(g, &res), name);
	return res < 0 ? res : 0;
}

static void expect_words(const char *wanted)
{
	if (!strstr(words, wanted))
		fail_msg("'%s' does not say '%s'", words, wanted);
}

/* Until gyred has so many requests, of all its models. */
static void wait_live(struct gyre *g, uint64_t n)
{
	char text[65536];

	for (int i = 0; i < 60000; i++) {
		const char *at;

		assert_true(gyre_query_stats(g, text, sizeof(text)) > 0);
		at = strstr(text, "\"live\":");
		assert_non_null(at);
		if (strtoull(at + 7, NULL, 10) == n)
			return;
		usleep(1000);
	}
	fail_msg("gyred has other than %llu requests: %s", (unsigned long long)n, text);
}

/* Who has no quota is served whatever others have hit. */
static void check_other(void)
{
	struct gyre *g = session_as(FREE_UID);
	struct gyre_info info;

	gyre_info(g, &info);
	assert_int_equal(info.limits.n_session, 0);
	assert_int_equal(info.limits.priority, 0);
	assert_true(info.limits.n_request > 100);
	for (int i = 0; i < 4; i++)
		submit(g, (uint64_t)i, 300, 3, 0);
	for (int i = 0; i < 4; i++) {
		int res;

		(void)wait_end(g, &res);
		assert_true(res >= 0);
	}
	gyre_close(g);
}

static void sessions_and_their_memory(void **state)
{
	struct gyre *other = session_as(FREE_UID), *a = session_as(FULL_UID), *b = session_as(FULL_UID), *more;
	const struct gyre_params small = { .arena_bytes = 65536 }, large = { .arena_bytes = 4u << 20 };
	struct gyre_info info;

	(void)state;
	gyre_info(a, &info);
	assert_int_equal(info.limits.n_session, 2);
	assert_int_equal(info.limits.arena_bytes, 4u << 20);
	assert_int_equal(info.limits.n_request, 2);
	assert_int_equal(info.limits.n_position, 200);
	assert_int_equal(info.limits.priority, 140);
	assert_int_equal(connect_as(FULL_UID, &more, small), -EUSERS);
	expect_words("uid 61001 has 2 sessions, and may have 2 (max-sessions); close one");
	check_other();
	gyre_close(b);
	while (connect_as(FULL_UID, &more, large) == -EUSERS) /* until gyred has seen it go */
		usleep(1000);
	expect_words("uid 61001 has ");
	expect_words("and may have 4.0 (max-arena-bytes); ask for a smaller arena, or close a session");
	assert_int_equal(connect_as(FULL_UID, &more, large), -EDQUOT);
	gyre_close(a);
	gyre_close(other);
}

static void requests_and_their_priority(void **state)
{
	struct gyre *g = session_of(FULL_UID, 8), *h = session_as(FULL_UID);

	(void)state;
	submit(g, 1, 5, 10, 139);
	assert_int_equal(end_of(g, 1), -EPERM);
	expect_words("priority is 139, and uid 61001 may have 140 (later) to 255 (max-priority)");
	/* The library's own priority is one that it may have. */
	submit(g, 2, 5, 1, -1);
	assert_int_equal(end_of(g, 2), 0);
	/* Two that do not end, for nobody reads what they say. The other session is the same user's. */
	submit(g, 3, 5, 50, 200);
	submit(g, 4, 5, 50, 200);
	wait_live(h, 2);
	submit(h, 5, 5, 1, 200);
	assert_int_equal(end_of(h, 5), -EMLINK);
	expect_words("uid 61001 has 2 requests under way, and may have 2 (max-requests): submit again when one has "
		     "ended");
	check_other();
	gyre_close(g);
	wait_live(h, 0);
	submit(h, 6, 5, 1, 200);
	assert_int_equal(end_of(h, 6), 0);
	gyre_close(h);
}

/* All that could be held at once waits for what is; alone too much is refused, and an answer without an end ends at the limit. */
static void positions(void **state)
{
	struct gyre *g = session_as(FULL_UID);
	int res;

	(void)state;
	submit(g, 1, 150, 51, 200);
	assert_int_equal(end_of(g, 1), -EFBIG);
	expect_words(
		"it would hold up to 201 positions (a prompt of 150 and its answer), and all requests of uid 61001 "
		"may hold 200 (max-positions)");
	submit(g, 2, 100, 20, 200);
	submit(g, 3, 100, 20, 200); /* both together would hold 240: one waits */
	assert_int_equal(wait_end(g, &res), 2);
	assert_true(res >= 0);
	assert_int_equal(wait_end(g, &res), 3);
	assert_true(res >= 0);
	submit(g, 4, 190, 0, 200);
	assert_int_equal(end_of(g, 4), -EFBIG);
	expect_words("all 200 positions that requests of uid 61001 may hold (max-positions)");
	check_other();
	gyre_close(g);
}

static void tokens_a_second(void **state)
{
	struct gyre *g = session_as(RATE_UID);

	(void)state;
	submit(g, 1, 400, 10, 128); /* ten seconds' worth are 50: it goes on to its end, and what follows has to wait */
	assert_int_equal(end_of(g, 1), 0);
	submit(g, 2, 1, 1, 128);
	assert_int_equal(end_of(g, 2), -EAGAIN);
	expect_words("uid 61002 has read and generated more than its 5 tokens a second over 10 s "
		     "(max-tokens-per-second): submit again in ");
	/* A new session is no new user. */
	gyre_close(g);
	g = session_as(RATE_UID);
	submit(g, 3, 1, 1, 128);
	assert_int_equal(end_of(g, 3), -EAGAIN);
	check_other();
	gyre_close(g);
}

static void models(void **state)
{
	const struct gyre_params a = { .arena_bytes = 65536, .model = "a" }, b = { .arena_bytes = 65536, .model = "b" },
				 first = { .arena_bytes = 65536 };
	struct gyre *g;

	(void)state;
	assert_int_equal(connect_as(MODEL_UID, &g, a), -EACCES);
	expect_words("uid 61003 may not use the model a; it may use b (models): ask for one of these");
	assert_int_equal(connect_as(MODEL_UID, &g, first), -EACCES);
	assert_int_equal(connect_as(MODEL_UID, &g, b), 0);
	gyre_close(g);
	assert_int_equal(connect_as(FREE_UID, &g, a), 0);
	gyre_close(g);
}

static uint32_t sessions_of(uid_t uid, gid_t gid, const gid_t *group, size_t n_group)
{
	struct gyre_info info;
	struct gyre *g;

	assert_int_equal(setgroups(n_group, group), 0);
	assert_int_equal(setegid(gid), 0);
	g = session_as(uid);
	assert_int_equal(setegid(0), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	gyre_info(g, &info);
	gyre_close(g);
	return info.limits.n_session;
}

/* A user's own section, else that of the first of its groups in the file, supplementary or not, else everybody's. */
static void groups(void **state)
{
	const gid_t both[] = { FIRST_GID, SECOND_GID }, many[] = { 1, 2, 3, 4, 5, FIRST_GID };

	(void)state;
	assert_int_equal(sessions_of(MEMBER_UID, 65534, NULL, 0), 0);
	assert_int_equal(sessions_of(MEMBER_UID, FIRST_GID, NULL, 0), 5);
	assert_int_equal(sessions_of(MEMBER_UID, 65534, many, 6), 5);
	assert_int_equal(sessions_of(MEMBER_UID, FIRST_GID, both, 2), 7);
	assert_int_equal(sessions_of(FULL_UID, FIRST_GID, both, 2), 2);
}

static int start(void **state)
{
	char second[112];
	char *argv[] = { (char *)"--name",
			 (char *)"a",
			 (char *)"--model",
			 second,
			 (char *)"--name",
			 (char *)"b",
			 (char *)"--config",
			 config,
			 (char *)"--threads",
			 (char *)"1",
			 NULL };
	FILE *f;

	(void)state;
	if (geteuid() != 0) {
		puts("skip: clients of other uids need root");
		return 0;
	}
	tinyd_setup(&d, &tiny_served);
	snprintf(second, sizeof(second), "%s/b.gguf", d.dir);
	assert_int_equal(symlink(d.model, second), 0);
	snprintf(config, sizeof(config), "%s/conf", d.dir);
	f = fopen(config, "w");
	assert_non_null(f);
	fputs(configuration, f);
	fclose(f);
	tinyd_start(&d, argv, NULL, NULL);
	tinyd_wait_ready(&d);
	return 0;
}

static int stop(void **state)
{
	char second[112];

	(void)state;
	if (geteuid() != 0)
		return 0;
	assert_int_equal(tinyd_stop(&d), 0);
	snprintf(second, sizeof(second), "%s/b.gguf", d.dir);
	unlink(second);
	unlink(config);
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sessions_and_their_memory),
					    cmocka_unit_test(requests_and_their_priority),
					    cmocka_unit_test(positions),
					    cmocka_unit_test(tokens_a_second),
					    cmocka_unit_test(models),
					    cmocka_unit_test(groups) };

	if (geteuid() != 0) {
		puts("skip: clients of other uids need root");
		return 0;
	}
	return cmocka_run_group_tests(tests, start, stop);
}
