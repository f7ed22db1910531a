/* Why it matters: attention and activations must give every ISA the same bits, and poison past a query's position must never
 * reach a result: that memory belongs to nobody or to someone else. */
#include "kernels/f16.h"
#include "kernels/isa.h"
#include "kernels/ref/exp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_POS 160
#define MAX_HEAD 256

static float uniform(void)
{
	return (float)rand() / (float)RAND_MAX * 4.0f - 2.0f;
}

static void attention(const struct kernels *ref, const struct kernels *k, int hd, int n_q)
{
	static uint16_t kb[N_POS * MAX_HEAD], vb[N_POS * MAX_HEAD];
	static float q[ATTN_TILE * MAX_HEAD], o[2][ATTN_TILE * MAX_HEAD], scratch[ATTN_TILE * ATTN_CHUNK];
	static const uint32_t blocks[] = { 3, 0, 4, 1, 2 };
	struct attn_kv kv = { kb, vb, (size_t)KV_BLOCK * (size_t)hd, blocks, hd };
	float m[2][ATTN_TILE], l[2][ATTN_TILE];
	int32_t pos[ATTN_TILE];

	memset(kb, 0x7e, sizeof(kb)); /* NaN everywhere, then positions up to 100 stored */
	memset(vb, 0x7e, sizeof(vb));
	for (int p = 0; p <= 100; p++) {
		float kx[MAX_HEAD], vx[MAX_HEAD];
		size_t at = blocks[p / KV_BLOCK] * kv.block_stride;

		for (int d = 0; d < hd; d++) {
			kx[d] = uniform();
			vx[d] = uniform();
		}
		k->kv_store(kb + at, vb + at, kx, vx, p % KV_BLOCK, hd);
	}
	for (int i = 0; i < n_q; i++)
		pos[i] = i == 0 ? 100 : i == 1 ? -1 : rand() % 101;
	for (int i = 0; i < n_q * hd; i++)
		q[i] = uniform();
	ref->attn_chunk(o[0], m[0], l[0], q, pos, n_q, &kv, 0, N_POS, scratch);
	k->attn_chunk(o[1], m[1], l[1], q, pos, n_q, &kv, 0, N_POS, scratch);
	assert_memory_equal(o[0], o[1], (size_t)(n_q * hd) * 4);
	assert_memory_equal(m[0], m[1], (size_t)n_q * 4);
	assert_memory_equal(l[0], l[1], (size_t)n_q * 4);
	for (int i = 0; i < n_q * hd; i++)
		assert_true(o[0][i] == o[0][i]);
}

static void every_isa_returns_the_bits_of_ref(void **state)
{
	struct kernels ref, k;

	(void)state;
	kernels_select(&ref, ISA_REF);
	for (int isa = ISA_AVX2; isa < ISA_MAX; isa++) {
		if (kernels_select(&k, (enum kernels_isa)isa) != (enum kernels_isa)isa) {
			print_message("skipped %s: not on this CPU\n", kernels_isa_name((enum kernels_isa)isa));
			continue;
		}
		for (int hd = 16; hd <= MAX_HEAD; hd += 48)
			for (int n_q = 1; n_q <= ATTN_TILE; n_q++)
				attention(&ref, &k, hd, n_q);
		float gate[67], up[67], y[2][67];
		for (int i = 0; i < 67; i++) {
			gate[i] = uniform() * 60;
			up[i] = uniform();
		}
		ref.silu_mul(y[0], gate, up, 67);
		k.silu_mul(y[1], gate, up, 67);
		assert_memory_equal(y[0], y[1], sizeof(y[0]));
	}
}

static void exp_is_within_two_ulp(void **state)
{
	(void)state;
	assert_true(ref_exp(0.0f) == 1.0f);
	assert_true(ref_exp(-1e30f) == 0.0f);
	for (float x = -86.0f; x < 87.0f; x += 0.00137f) {
		double want = exp((double)x);
		assert_true(fabs((double)ref_exp(x) - want) <= 2 * 0x1p-23 * want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_isa_returns_the_bits_of_ref),
		cmocka_unit_test(exp_is_within_two_ulp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
