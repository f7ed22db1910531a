/* What this CPU and its kernel can run. __builtin_cpu_supports asks cpuid and, for AVX and up, xgetbv as well. */
#include "kernels/kernels.h"

uint32_t kernels_available(void)
{
	uint32_t mask = 1u << ISA_REF;

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
		return mask;
	mask |= 1u << ISA_AVX2;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni"))
		mask |= 1u << ISA_AVX512VNNI;
	return mask;
}
