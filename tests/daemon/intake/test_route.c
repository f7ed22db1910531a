/*
 * Why: a prompt that goes to another replica than the one that knows its beginning is read once more; one that always goes there leaves the
 * others idle. The bound on that is what decides here: the rows that each would have to run.
 */
#include "daemon/intake/route.h"
#include "daemon/util/hashchain.h"
#include "shm/atomic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_ENGINE 3
#define N_TOKEN  (10 * HASHCHAIN_LEN)

static struct queue queue[N_ENGINE];
static struct served served;
static int32_t token[N_TOKEN];
static struct user user[2] = { { .uid = 7 }, { .uid = 8 } };
static struct request r;

/* n_known: tokens of the prompt that the last engine knows of uid's. */
static void open_engines(uint32_t uid, uint32_t n_known)
{
	uint64_t h = hashchain_begin(hashchain_salt(served.shares_prefixes, uid));

	memset(queue, 0, sizeof(queue));
	served.n_engine = N_ENGINE;
	for (uint32_t i = 0; i < N_ENGINE; i++)
		served.queue[i] = &queue[i];
	for (int i = 0; i < (int)N_TOKEN; i++)
		token[i] = i * 7 % 50;
	r = (struct request){ .user = &user[0], .token = token };
	r.kept.n_prompt = N_TOKEN;
	for (uint32_t n = 0; n + HASHCHAIN_LEN <= n_known; n += HASHCHAIN_LEN) {
		h = hashchain_add(h, token + n, HASHCHAIN_LEN);
		queue[N_ENGINE - 1].prefix[h & (QUEUE_PREFIX_MAX - 1)] = h;
	}
}

static uint32_t choose(const struct request *of, uint32_t own)
{
	return (uint32_t)(route_choose(&served, of, &queue[own]) - queue);
}

static void the_least_loaded_is_chosen(void **state)
{
	(void)state;
	open_engines(7, 0);
	store_relaxed64(&queue[0].load, 5);
	store_relaxed64(&queue[1].load, 4);
	store_relaxed64(&queue[2].load, 9);
	assert_int_equal(choose(&r, 0), 1);
	assert_int_equal(choose(NULL, 0), 1);
	store_relaxed64(&queue[0].load, 4);
	assert_int_equal(choose(&r, 1), 1); /* on a tie, who is awake */
	assert_int_equal(choose(&r, 0), 0);
}

static void who_knows_a_prompt_gets_it_up_to_a_load(void **state)
{
	(void)state;
	open_engines(7, 128);
	assert_int_equal(choose(&r, 0), 2);
	store_relaxed64(&queue[2].load, 127);
	assert_int_equal(choose(&r, 0), 2);
	store_relaxed64(&queue[2].load, 129);
	assert_int_equal(choose(&r, 0), 0);
	assert_int_equal(choose(NULL, 0), 0);
}

/* All of it but a token, which is run in any case. */
static void a_whole_prompt_counts_but_its_last_piece(void **state)
{
	(void)state;
	open_engines(7, N_TOKEN);
	store_relaxed64(&queue[2].load, N_TOKEN - HASHCHAIN_LEN - 1);
	assert_int_equal(choose(&r, 0), 2);
	store_relaxed64(&queue[2].load, N_TOKEN - HASHCHAIN_LEN + 1);
	assert_int_equal(choose(&r, 0), 0);
}

static void what_another_user_asked_does_not_count(void **state)
{
	(void)state;
	open_engines(8, 128);
	store_relaxed64(&queue[2].load, 1);
	assert_int_equal(choose(&r, 0), 0);
	served.shares_prefixes = true;
	open_engines(8, 128);
	store_relaxed64(&queue[2].load, 1);
	assert_int_equal(choose(&r, 0), 2);
	served.shares_prefixes = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_loaded_is_chosen),
		cmocka_unit_test(who_knows_a_prompt_gets_it_up_to_a_load),
		cmocka_unit_test(a_whole_prompt_counts_but_its_last_piece),
		cmocka_unit_test(what_another_user_asked_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
