/*
 * Why: the default has to run where it is put. A pool of four contexts that does not fit a container is no reason to refuse one in which a
 * smaller pool would serve; and where nothing would, the arithmetic says how far it is. The real gyred in real memory cgroups and
 * under a limit of address space.
 */
#include "tests/system/memcg.h"
#include "tests/system/tinyd.h"
#include "tests/util/emulated.h"
#include "tests/util/sanitized.h"

#include <sys/resource.h>

#define MIB ((uint64_t)1 << 20)

/* 12 KiB of keys and values a position: 96 MiB a context, 384 MiB by default; few weights. */
static const struct tiny wide = { .n_embd = 512,
				  .n_layer = 6,
				  .n_head = 8,
				  .n_head_kv = 8,
				  .head_dim = 64,
				  .n_ff = 64,
				  .n_vocab = 272,
				  .n_ctx = 8192,
				  .type_embd = QUANT_Q8_0,
				  .type_q = QUANT_Q4_0,
				  .type_k = QUANT_Q4_0,
				  .type_v = QUANT_Q4_0,
				  .type_o = QUANT_Q4_0,
				  .type_gate = QUANT_Q4_0,
				  .type_up = QUANT_Q4_0,
				  .type_down = QUANT_Q4_0,
				  .n_token = 272,
				  .is_tied = true };

static struct tinyd d;

static void start(void (*before)(void *arg), void *arg)
{
	char *argv[] = { (char *)"--threads", (char *)"1", NULL };

	tinyd_start(&d, argv, before, arg);
}

/* Serves, with a pool of so many MiB and such a context. */
static void serves(double least_mib, double most_mib, uint32_t least_ctx, uint32_t most_ctx)
{
	struct gyre_info info;
	const char *at;
	struct gyre *g;
	double mib = 0;

	tinyd_wait_ready(&d);
	at = strstr(d.said, " blocks, ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, " blocks, %lf MiB", &mib), 1);
	g = tinyd_connect(&d, NULL);
	gyre_info(g, &info);
	if (mib < least_mib || mib > most_mib || info.n_ctx < least_ctx || info.n_ctx > most_ctx)
		fail_msg("a pool of %.1f MiB and a context of %u: %s", mib, info.n_ctx, d.said);
	assert_int_equal(tinyd_generate(g, "hello", 5), 0);
	gyre_close(g);
	assert_int_equal(tinyd_stop(&d), 0);
}

static void the_default_fits_its_cgroup(void **state)
{
	(void)state;
	memcg_make();
	if (!*memcg.dir) {
		puts(MEMCG_SKIP);
		skip();
	}
	memcg_limit(1024 * MIB);
	start(memcg_enter, NULL);
	serves(384, 384, 8192, 8192);
	assert_null(strstr(d.said, "raise the limit"));
	memcg_limit(300 * MIB);
	start(memcg_enter, NULL);
	serves(96, 180, 8192, 8192);
	assert_non_null(strstr(d.said, "not the 384.0 MiB of 4 full contexts: beside the weights"));
	memcg_limit(160 * MIB);
	start(memcg_enter, NULL);
	serves(16, 95, 1024, 8160);
	memcg_remove();
}

static void what_cannot_fit_is_told_in_bytes(void **state)
{
	(void)state;
	if (is_sanitized("a sanitizer's own memory fills the few MiB that the arithmetic is about"))
		skip();
	memcg_make();
	if (!*memcg.dir) {
		puts(MEMCG_SKIP);
		skip();
	}
	memcg_limit(79 * MIB);
	start(memcg_enter, NULL);
	assert_int_equal(tinyd_wait(&d), 1);
	if (!strstr(tinyd_said(&d), "a pool of only 256 positions takes 3.0 MiB and 64 MiB are to stay free"))
		fail_msg("%s", d.said);
	memcg_remove();
}

struct limit {
	int resource;
	rlim_t n;
};

static void limit_address_space(void *arg)
{
	const struct limit *l = arg;

	if (setrlimit((__rlimit_resource_t)l->resource, &(struct rlimit){ l->n, l->n }))
		_exit(126);
}

static void the_default_fits_its_address_space(void **state)
{
	struct limit l[] = { { RLIMIT_AS, 500 * MIB }, { RLIMIT_DATA, 500 * MIB } };

	(void)state;
	if (is_sanitized("a sanitizer's shadow takes more address space than there is"))
		skip();
	for (int i = 0; i < 2; i++) {
		start(limit_address_space, &l[i]);
		serves(48, 383, 4096, 8192);
		assert_non_null(strstr(d.said, "ulimit -v and -d"));
	}
}

static int setup(void **state)
{
	(void)state;
	tinyd_setup(&d, &wide);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memcg_remove();
	tinyd_teardown(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_fits_its_cgroup),
		cmocka_unit_test(what_cannot_fit_is_told_in_bytes),
		cmocka_unit_test(the_default_fits_its_address_space),
	};

	if (is_emulated("memory is"))
		return 0;
	return cmocka_run_group_tests(tests, setup, teardown);
}
