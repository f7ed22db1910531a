/*
 * Why it matters: libgyre is what programs link for years. Its verbs must keep their errno, and hand out no arena byte that the daemon may
 * still read.
 */
#include "tests/client/fake.h"

static void test_info_and_generate(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 0, 0);
	struct gyre_options o = { .temperature = 1 };
	struct gyre_info info;
	char out[64];

	(void)state;
	gyre_info(g, &info);
	assert_string_equal(info.name, "fake");
	assert_string_equal(info.model, "a fake model");
	assert_int_equal(info.limits.n_session, 7);
	assert_int_equal(info.n_ctx, 2048);
	assert_int_equal(info.sq_entries, 64);
	assert_int_equal(gyre_generate(g, "hello", NULL, 0, out, sizeof(out)), 5);
	assert_string_equal(out, "hello");
	assert_int_equal(gyre_generate(g, "truncate", &o, 0, out, 4), 8);
	assert_string_equal(out, "tru");
	for (int i = 0; i < 300; i++) /* wraps both rings */
		assert_int_equal(gyre_generate(g, "x", NULL, 0, out, sizeof(out)), 1);
	gyre_get_sqe(g);
	assert_int_equal(gyre_generate(g, "x", NULL, 0, out, sizeof(out)), -EBUSY);
	end(&f, g);
}

static void test_refusal_has_words(void **state)
{
	struct fake f = { .refuse = -EUSERS };
	char why[256] = "";
	struct gyre_params p = { .error = why, .error_bytes = sizeof(why) };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, &p), -EUSERS);
	assert_string_equal(why, "too many sessions: raise max_sessions");
	assert_null(g);
	fake_stop(&f);
	assert_int_equal(gyre_connect(&g, "/nonexistent/gyre.sock", &p), -ENOENT);
	assert_non_null(strstr(why, "GYRE_SOCKET"));
	memset(why, 'x', sizeof(why) - 1);
	assert_int_equal(gyre_connect(&g, why, NULL), -ENAMETOOLONG);
}

static void test_mute_daemon_times_out(void **state)
{
	struct fake f = { .is_mute = true };
	struct gyre_params p = { .connect_timeout_ms = 50 };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, &p), -ETIMEDOUT);
	fake_stop(&f);
}

/* A daemon that is replaced behind its socket may have taken a connection that it does not answer. */
static void test_successor_is_asked_once(void **state)
{
	struct fake f = { .n_hang_up = 1 };
	struct gyre *g;

	(void)state;
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, NULL), 0);
	gyre_close(g);
	fake_stop(&f);
	f = (struct fake){ .n_hang_up = 3 };
	fake_start(&f);
	assert_int_equal(gyre_connect(&g, f.path, NULL), -ECONNRESET);
	assert_int_equal(gyre_connect(&g, f.path, NULL), 0); /* the third, and then one that answers */
	gyre_close(g);
	fake_stop(&f);
}

static void test_full_sq(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 2, 4);
	struct gyre_sqe *a, *b;
	const struct gyre_cqe *cqe;

	(void)state;
	store_release(&f.mode, MODE_HOLD);
	a = gyre_get_sqe(g);
	b = gyre_get_sqe(g);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(a->priority, 128);
	assert_null(gyre_get_sqe(g));
	gyre_unget_sqe(g);
	assert_ptr_equal(gyre_get_sqe(g), b);
	a->user_data = 1;
	b->user_data = 2;
	assert_int_equal(gyre_submit(g), 2);
	assert_int_equal(gyre_submit(g), 0);
	assert_null(gyre_get_sqe(g));
	assert_int_equal(gyre_peek_cqe(g, &cqe), -EAGAIN);
	store_release(&f.mode, MODE_SERVE);
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
		assert_int_equal(cqe->user_data, i);
		gyre_cqe_seen(g, cqe);
	}
	end(&f, g);
}

/* Until the daemon has taken a batch, none of its bytes is handed out again; afterwards all are, at any wrap. */
static void test_arena_wrap(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;
	char *first;

	(void)state;
	store_release(&f.mode, MODE_HOLD);
	first = gyre_arena_alloc(g, 40000);
	assert_non_null(first);
	assert_int_equal((uintptr_t)first % 8, 0);
	assert_null(gyre_arena_alloc(g, 40000));
	assert_null(gyre_arena_alloc(g, GYRE_ARENA_BYTES_MIN + 1));
	assert_int_equal(gyre_prep_tokenize(g, gyre_get_sqe(g), first, 40000), 0);
	gyre_submit(g);
	assert_null(gyre_arena_alloc(g, 40000));
	store_release(&f.mode, MODE_SERVE);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
	gyre_cqe_seen(g, cqe);
	for (int i = 0; i < 100; i++) {
		size_t n = (size_t)(i * 7919 % 60000) + 1;
		char *p;

		while (!(p = gyre_arena_alloc(g, n))) /* sq_head may trail the completion */
			sched_yield();
		memset(p, i, n);
		assert_int_equal(gyre_prep_tokenize(g, gyre_get_sqe(g), p, n), 0);
		assert_int_equal(gyre_submit(g), 1);
		assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
		gyre_cqe_seen(g, cqe);
	}
	end(&f, g);
}

static void test_prep_errors(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	static char big[GYRE_ARENA_BYTES_MIN + 1];
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	(void)state;
	assert_int_equal(gyre_prep_generate(g, sqe, big, sizeof(big), 1), -EMSGSIZE);
	assert_int_equal(sqe->opcode, GYRE_OP_NOP);
	assert_int_equal(gyre_prep_generate(g, sqe, big, 60000, 1), 0);
	assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), big, 60000, 1), -EAGAIN);
	assert_int_equal(gyre_prep_score(g, sqe, "abc", 3, 4), -EINVAL);
	assert_int_equal(gyre_prep_score(g, sqe, "abc", 3, 2), 0);
	assert_int_equal(sqe->split, 2);
	gyre_prep_cancel(sqe, 77);
	assert_int_equal(sqe->opcode, GYRE_OP_CANCEL);
	assert_int_equal(sqe->target, 77);
	end(&f, g);
}

/* An entry that is given back gives back its bytes: else a prompt that leaves no room for options would use up the session. */
static void test_unget_frees_the_arena(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	static char big[GYRE_ARENA_BYTES_MIN - 8];
	const struct gyre_options o = { .temperature = 1 };
	char out[64];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(gyre_generate(g, big, &o, 0, out, sizeof(out)), -EAGAIN);
		assert_int_equal(gyre_generate(g, "hello", &o, 0, out, sizeof(out)), 5);
	}
	assert_non_null(gyre_get_sqe(g));
	assert_int_equal(gyre_prep_generate(g, gyre_get_sqe(g), big, 40000, 1), 0);
	gyre_unget_sqe(g);
	assert_null(gyre_arena_alloc(g, 40000)); /* may be the other entry's */
	gyre_unget_sqe(g);
	assert_non_null(gyre_arena_alloc(g, 40000));
	end(&f, g);
}

static void test_options(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	struct gyre_sqe *sqe = gyre_get_sqe(g);
	const char *const stop[] = { "\n\n", "STOP" }, *const empty[] = { "" };
	const struct gyre_bias bias = { .token = 5, .bias = -1 };
	struct gyre_options o = { .n_stop = 2, .n_bias = 1, .draft = 2 }, *in_arena;
	char *base = gyre_arena_alloc(g, 8); /* the arena's first piece: offset 0 */
	uint32_t n;

	(void)state;
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, &bias, stop), 0);
	assert_int_equal(sqe->opts_len, 64 + 8 + (4 + 4) + (4 + 4));
	assert_int_equal(sqe->opts_off % 8, 0);
	in_arena = (struct gyre_options *)(base + sqe->opts_off);
	assert_int_equal(in_arena->size, 64);
	assert_int_equal(in_arena->draft, 2);
	assert_memory_equal(in_arena + 1, &bias, sizeof(bias));
	memcpy(&n, (char *)(in_arena + 1) + 8, 4);
	assert_int_equal(n, 2);
	assert_memory_equal((char *)(in_arena + 1) + 20, "STOP", 4);
	o.n_stop = 1;
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, &bias, empty), -EINVAL);
	o.n_stop = GYRE_STOP_MAX + 1;
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, &bias, stop), -EINVAL);
	o = (struct gyre_options){ .n_top = GYRE_TOP_MAX + 1 };
	assert_int_equal(gyre_sqe_set_options(g, sqe, &o, NULL, NULL), -EINVAL);
	end(&f, g);
}

/* The layout that a daemon reads: header, text, JSON, zeroes up to a multiple of 8. */
static void test_chat(void **state)
{
	uint32_t space[20];
	struct gyre_chat c = { .data = space, .size = sizeof(space) };
	struct gyre_message head;

	(void)state;
	memset(space, 0xff, sizeof(space));
	assert_int_equal(gyre_chat_set_variables(&c, "{\"a\":1}", 7), 0);
	assert_int_equal(c.n, 24);
	memcpy(&head, space, sizeof(head));
	assert_int_equal(head.role, GYRE_ROLE_VARIABLES);
	assert_int_equal(head.n_text, 0);
	assert_int_equal(head.n_json, 7);
	assert_int_equal(head.reserved, 0);
	assert_memory_equal(space + 4, "{\"a\":1}", 8);
	assert_int_equal(gyre_chat_set_variables(&c, "{}", 2), -EINVAL); /* there are some */
	assert_int_equal(gyre_chat_append_json(&c, GYRE_ROLE_TOOL, "hello", 5, "{}", 2), 0);
	assert_int_equal(c.n, 48);
	memcpy(&head, space + 6, sizeof(head));
	assert_int_equal(head.role, GYRE_ROLE_TOOL);
	assert_int_equal(head.n_text, 5);
	assert_int_equal(head.n_json, 2);
	assert_memory_equal(space + 10, "hello{}", 8);
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "seventeen letters", 17), -ENOBUFS);
	assert_int_equal(c.n, 48);
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "sixteen letters.", 16), 0);
	assert_int_equal(c.n, 80);
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "", 0), -ENOBUFS);
	assert_int_equal(gyre_chat_append_json(&c, GYRE_ROLE_USER, NULL, (size_t)-8, NULL, 0), -EINVAL);
	assert_int_equal(gyre_chat_append_json(&c, GYRE_ROLE_USER, NULL, 0, NULL, (size_t)-8), -EINVAL);
	c.n = 4;
	assert_int_equal(gyre_chat_append(&c, GYRE_ROLE_USER, "", 0), -EINVAL);
}

static void test_tokenize_ids(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	const struct gyre_cqe *cqe;
	const uint32_t *ids;
	size_t n;

	(void)state;
	assert_int_equal(gyre_prep_tokenize(g, gyre_get_sqe(g), "ab", 2), 0);
	assert_int_equal(gyre_submit(g), 1);
	assert_int_equal(gyre_wait_cqe(g, &cqe, 300 * SECOND), 0);
	ids = gyre_cqe_ids(g, cqe, &n);
	assert_int_equal(n, 2);
	assert_int_equal(ids[0], 11);
	assert_int_equal(ids[1], 22);
	assert_null(gyre_cqe_top(g, cqe, &n));
	assert_int_equal(n, 0);
	gyre_cqe_seen(g, cqe);
	end(&f, g);
}

static void test_query_stats(void **state)
{
	struct fake f;
	struct gyre *g = begin(&f, 4, 4);
	char text[64];

	(void)state;
	assert_int_equal(gyre_query_stats(g, text, sizeof(text)), strlen(STATS));
	assert_string_equal(text, STATS);
	assert_int_equal(gyre_query_stats(g, text, 4), -ENOBUFS);
	end(&f, g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info_and_generate),
		cmocka_unit_test(test_refusal_has_words),
		cmocka_unit_test(test_mute_daemon_times_out),
		cmocka_unit_test(test_successor_is_asked_once),
		cmocka_unit_test(test_full_sq),
		cmocka_unit_test(test_arena_wrap),
		cmocka_unit_test(test_prep_errors),
		cmocka_unit_test(test_unget_frees_the_arena),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_chat),
		cmocka_unit_test(test_tokenize_ids),
		cmocka_unit_test(test_query_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
