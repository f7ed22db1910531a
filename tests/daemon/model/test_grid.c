/*
 * Why: no reference is long enough to reach the second of Llama 4's windows of 8192 positions, and one that slid would agree with it until then.
 * So here it has windows of 8, in all its layers: what lies before the last multiple of 8 must not enter a logit, what lies behind must.
 */
#include "tests/daemon/model/harness.h"
#include "tests/daemon/model/own_keys.h"

#include <unistd.h>

#define WINDOW 8
#define N_TOK  (3 * WINDOW)

static char path[64];

/* Logits of N_TOK tokens, of which the one at `other` is another; N_TOK: none is. */
static void run(float *logits, uint32_t other, uint32_t chunk)
{
	int32_t token[N_TOK];
	struct harness h;

	for (uint32_t i = 0; i < N_TOK; i++)
		token[i] = (int32_t)(i * 7 + (i == other));
	harness_open(&h, path, ISA_MAX, 2, 0);
	harness_logits(&h, logits, token, N_TOK, chunk, 0);
	harness_close(&h);
}

static bool differs(const float *a, const float *b, uint32_t pos)
{
	size_t at = (size_t)pos * TINY_SERVED_VOCAB;

	return memcmp(a + at, b + at, TINY_SERVED_VOCAB * sizeof(*a)) != 0;
}

static void a_window_begins_at_a_multiple_of_its_length(void **state)
{
	static const uint32_t chunk[] = { N_TOK, 5, 1 };
	static float as_it_is[N_TOK * TINY_SERVED_VOCAB], bent[N_TOK * TINY_SERVED_VOCAB];
	const struct tiny_kv window = KEY_U32("attention.sliding_window", WINDOW);
	struct tiny o = tiny_served;

	(void)state;
	o.arch = "llama4", o.kv = &window, o.n_kv = 1;
	assert_int_equal(tiny_write(path, &o), 0);
	for (size_t c = 0; c < sizeof(chunk) / sizeof(chunk[0]); c++) {
		run(as_it_is, N_TOK, chunk[c]);
		for (uint32_t other = 0; other < N_TOK; other += WINDOW - 1) {
			run(bent, other, chunk[c]);
			for (uint32_t pos = 0; pos < N_TOK; pos++)
				assert_int_equal(differs(as_it_is, bent, pos),
						 pos >= other && pos / WINDOW == other / WINDOW);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_window_begins_at_a_multiple_of_its_length) };
	int r;

	snprintf(path, sizeof(path), "/tmp/gyre-test-grid-%d.gguf", (int)getpid());
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return r;
}
