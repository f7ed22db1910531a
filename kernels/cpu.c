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
	    __builtin_cpu_supports("avx512vnni")) {
		mask |= 1u << ISA_AVX512VNNI;
		if (__builtin_cpu_is("amd")) /* no instruction more, but pipes that add beside those that multiply */
			mask |= 1u << ISA_ZEN4;
	}
	return mask;
}

static const struct {
	const char *name;
	enum kernels_isa level;
} flag_table[KERNELS_FLAG_MAX] = {
	{ "avx2", ISA_AVX2 },
	{ "fma", ISA_AVX2 },
	{ "f16c", ISA_AVX2 },
	{ "avx512f", ISA_AVX512VNNI },
	{ "avx512bw", ISA_AVX512VNNI },
	{ "avx512vl", ISA_AVX512VNNI },
	{ "avx512dq", ISA_AVX512VNNI },
	{ "avx512vbmi", ISA_AVX512VNNI },
	{ "avx512_vnni", ISA_AVX512VNNI },
	{ "a CPU by AMD", ISA_ZEN4 },
};

uint32_t kernels_flags(void)
{
	__builtin_cpu_init(); /* which takes names in quotes only, hence no loop; in the order of the table */
	return (uint32_t) !!__builtin_cpu_supports("avx2") << 0 | (uint32_t) !!__builtin_cpu_supports("fma") << 1 |
	       (uint32_t)has_f16c() << 2 | (uint32_t) !!__builtin_cpu_supports("avx512f") << 3 |
	       (uint32_t) !!__builtin_cpu_supports("avx512bw") << 4 |
	       (uint32_t) !!__builtin_cpu_supports("avx512vl") << 5 |
	       (uint32_t) !!__builtin_cpu_supports("avx512dq") << 6 |
	       (uint32_t) !!__builtin_cpu_supports("avx512vbmi") << 7 |
	       (uint32_t) !!__builtin_cpu_supports("avx512vnni") << 8 | (uint32_t) !!__builtin_cpu_is("amd") << 9;
}

uint32_t kernels_missing(enum kernels_isa isa, uint32_t flags, const char *name[KERNELS_FLAG_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < KERNELS_FLAG_MAX; i++)
		if (flag_table[i].level <= isa && !(flags >> i & 1))
			name[n++] = flag_table[i].name;
	return n;
}
