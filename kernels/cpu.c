/* What this CPU and its kernel can run. __builtin_cpu_supports asks cpuid and, for AVX and up, xgetbv as well. */
#include "kernels/kernels.h"

#include <cpuid.h>
#include <stdbool.h>

/* clang 14's __builtin_cpu_supports has no name for it. Its state is AVX's, which the caller has asked about. */
static bool has_f16c(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

/* The one list of what each level needs; those below it are needed, too. */
static const struct {
	const char *name;
	enum kernels_isa level;
} flag_table[KERNELS_FLAG_MAX] = {
	{ "avx2", ISA_AVX2 },           { "fma", ISA_AVX2 },
	{ "f16c", ISA_AVX2 },           { "avx512f", ISA_AVX512VNNI },
	{ "avx512bw", ISA_AVX512VNNI }, { "avx512vl", ISA_AVX512VNNI },
	{ "avx512dq", ISA_AVX512VNNI }, { "avx512_vnni", ISA_AVX512VNNI },
	{ "a CPU by AMD", ISA_ZEN4 }, /* no instruction more, but pipes that add beside those that multiply */
};

/* __builtin_cpu_supports takes a name in quotes only, hence no loop: in the order of the table. */
uint32_t kernels_flags(void)
{
	bool has[KERNELS_FLAG_MAX];
	uint32_t flags = 0;

	__builtin_cpu_init();
	has[0] = __builtin_cpu_supports("avx2");
	has[1] = __builtin_cpu_supports("fma");
	has[2] = has[0] && has_f16c();
	has[3] = __builtin_cpu_supports("avx512f");
	has[4] = __builtin_cpu_supports("avx512bw");
	has[5] = __builtin_cpu_supports("avx512vl");
	has[6] = __builtin_cpu_supports("avx512dq");
	has[7] = __builtin_cpu_supports("avx512vnni");
	has[8] = __builtin_cpu_is("amd");
	for (uint32_t i = 0; i < KERNELS_FLAG_MAX; i++)
		flags |= (uint32_t)has[i] << i;
	return flags;
}

uint32_t kernels_missing(enum kernels_isa isa, uint32_t flags, const char *name[KERNELS_FLAG_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < KERNELS_FLAG_MAX; i++)
		if (flag_table[i].level <= isa && !(flags >> i & 1))
			name[n++] = flag_table[i].name;
	return n;
}

uint32_t kernels_available(void)
{
	const char *name[KERNELS_FLAG_MAX];
	uint32_t flags = kernels_flags(), mask = 0;

	for (int isa = ISA_REF; isa < ISA_MAX; isa++)
		mask |= (uint32_t)(kernels_missing((enum kernels_isa)isa, flags, name) == 0) << isa;
	return mask;
}
