/* The levels of x86-64, and what this CPU has of what they need. __builtin_cpu_supports asks cpuid and, for AVX and up, xgetbv as well. */
#include "kernels/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* asm/prctl.h and Documentation/arch/x86/xstate.rst have them since Linux 5.16. */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA  18

enum { REF, AVX2, AVXVNNI, AVX512VNNI, ZEN4, AMX };

#define HAS_AVX2        (1u << 0)
#define HAS_FMA         (1u << 1)
#define HAS_F16C        (1u << 2)
#define HAS_AVX512F     (1u << 3)
#define HAS_AVX512BW    (1u << 4)
#define HAS_AVX512VL    (1u << 5)
#define HAS_AVX512DQ    (1u << 6)
#define HAS_AVX512_VNNI (1u << 7)
#define HAS_AVX_VNNI    (1u << 8)
#define IS_AMD          (1u << 9)
#define HAS_AMX_TILE    (1u << 10)
#define HAS_AMX_INT8    (1u << 11)
#define HAS_TILE_DATA   (1u << 12)
#define HAS_RUN         (1u << 13)

const char *const isa_flag_name[] = { "avx2",
				      "fma",
				      "f16c",
				      "avx512f",
				      "avx512bw",
				      "avx512vl",
				      "avx512dq",
				      "avx512_vnni",
				      "avx_vnni",
				      "a CPU by AMD",
				      "amx_tile",
				      "amx_int8",
				      "tile data by Linux 5.16",
				      "a run on silicon" };
const uint32_t isa_flag_count = sizeof(isa_flag_name) / sizeof(isa_flag_name[0]);

const struct isa isa_table[] = {
	[REF] = { .name = "ref", .parent = -1, .override = kernels_ref_fill, .limits = limits_ref_fill },
	[AVX2] = { .name = "avx2",
		   .parent = REF,
		   .needs = HAS_AVX2 | HAS_FMA | HAS_F16C,
		   .override = kernels_avx2_override,
		   .limits = limits_avx2_override },
	[AVXVNNI] = { .name = "avxvnni", .parent = AVX2, .needs = HAS_AVX_VNNI, .override = kernels_avxvnni_override },
	[AVX512VNNI] = { .name = "avx512vnni",
			 .parent = AVX2,
			 .needs = HAS_AVX512F | HAS_AVX512BW | HAS_AVX512VL | HAS_AVX512DQ | HAS_AVX512_VNNI,
			 .override = kernels_avx512vnni_override,
			 .limits = limits_avx512vnni_override },
	/* No instruction more, but products for cores that add beside where they multiply. */
	[ZEN4] = { .name = "zen4", .parent = AVX512VNNI, .wants = IS_AMD, .override = kernels_zen4_override },
	/* By its name alone, which is to say that no CPU has the last flag: this has run on no CPU yet. */
	[AMX] = { .name = "amx",
		  .parent = AVX512VNNI,
		  .needs = HAS_AMX_TILE | HAS_AMX_INT8 | HAS_TILE_DATA,
		  .wants = HAS_RUN,
		  .override = kernels_amx_override },
};
const uint32_t isa_count = sizeof(isa_table) / sizeof(isa_table[0]);

/* clang 14's __builtin_cpu_supports has no name for it. Its state is AVX's, which HAS_AVX2 has asked about. */
static bool has_f16c(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

/* Nor has it one for this. */
static bool has_avx_vnni(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & (1u << 4));
}

/* Tiles are 8 KiB of state, which Linux keeps for processes that have asked. */
static bool may_use_tiles(void)
{
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static uint32_t amx_flags(void)
{
	unsigned eax, ebx, ecx, edx;
	uint32_t flags = 0;

	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
		return 0;
	flags |= edx & (1u << 24) ? HAS_AMX_TILE : 0;
	flags |= edx & (1u << 25) ? HAS_AMX_INT8 : 0;
	return flags & HAS_AMX_TILE && may_use_tiles() ? flags | HAS_TILE_DATA : flags;
}

uint32_t isa_flags(void)
{
	uint32_t flags = 0;

	__builtin_cpu_init();
	flags |= __builtin_cpu_supports("avx2") ? HAS_AVX2 : 0;
	flags |= __builtin_cpu_supports("fma") ? HAS_FMA : 0;
	flags |= flags & HAS_AVX2 && has_f16c() ? HAS_F16C : 0;
	flags |= __builtin_cpu_supports("avx512f") ? HAS_AVX512F : 0;
	flags |= __builtin_cpu_supports("avx512bw") ? HAS_AVX512BW : 0;
	flags |= __builtin_cpu_supports("avx512vl") ? HAS_AVX512VL : 0;
	flags |= __builtin_cpu_supports("avx512dq") ? HAS_AVX512DQ : 0;
	flags |= __builtin_cpu_supports("avx512vnni") ? HAS_AVX512_VNNI : 0;
	flags |= flags & HAS_AVX2 && has_avx_vnni() ? HAS_AVX_VNNI : 0;
	flags |= amx_flags();
	flags |= __builtin_cpu_is("amd") ? IS_AMD : 0;
	return flags;
}
