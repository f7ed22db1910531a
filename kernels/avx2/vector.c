/* Element-wise operations with exp. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/exp.h"

void avx2_silu_mul(float *y, const float *gate, const float *up, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		__m256 g = _mm256_loadu_ps(gate + i);
		__m256 e = exp8(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
		__m256 v = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));

		_mm256_storeu_ps(y + i, _mm256_mul_ps(v, _mm256_loadu_ps(up + i)));
	}
	ref_silu_mul(y + i, gate + i, up + i, n - i);
}
