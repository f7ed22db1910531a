/* The one instruction of this level. A file of its own, so that tests can put arithmetic in its place (tests/kernels/models/). */
#ifndef GYRE_KERNELS_AVXVNNI_DOT_H
#define GYRE_KERNELS_AVXVNNI_DOT_H

#include "kernels/avx2/simd.h"

/* acc[r] += w[r][0..3] . x[0..3]: unsigned w, signed x. */
INLINE __m256i dot4(__m256i acc, __m256i w, __m256i x)
{
	return _mm256_dpbusd_avx_epi32(acc, w, x);
}

#endif
