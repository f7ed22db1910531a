/* What this CPU and its kernel can run. __builtin_cpu_supports asks cpuid and, for AVX and up, xgetbv as well. */
#include "kernels/kernels.h"

#include <cpuid.h>

/* clang 14's __builtin_cpu_supports has no name for it. Its state is AVX's, which the caller has asked about. */
static bool has_f16c(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

uint32_t kernels_available(void)
{
	uint32_t mask = 1u << ISA_REF;

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
		return mask;
	mask |= 1u << ISA_AVX2;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni")) {
		mask |= 1u << ISA_AVX512VNNI;
		if (__builtin_cpu_is("amd")) /* no instruction more, but pipes that add beside those that multiply */
			mask |= 1u << ISA_ZEN4;
	}
	return mask;
}
