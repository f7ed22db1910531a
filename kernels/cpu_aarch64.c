/* The levels of 64-bit Arm, and what the kernel says that this CPU has of what they need. */
#include "kernels/isa.h"

#include <asm/hwcap.h>
#include <sys/auxv.h>

enum level { REF, NEON, I8MM };

#define HAS_ASIMDDP (1u << 0) /* the dot product of Armv8.2, in every server CPU since 2018 */
#define HAS_I8MM    (1u << 1) /* the products of 2x8 by 8x2 bytes of Armv8.6, in those since 2021 */

const char *const isa_flag_name[] = { "asimddp", "i8mm" };
const uint32_t isa_flag_count = sizeof(isa_flag_name) / sizeof(isa_flag_name[0]);

const struct isa isa_table[] = {
	[REF] = { .name = "ref", .parent = -1, .override = kernels_ref_fill, .limits = limits_ref_fill },
	[NEON] = { .name = "neon",
		   .parent = REF,
		   .needs = HAS_ASIMDDP,
		   .override = kernels_neon_override,
		   .limits = limits_neon_override },
	[I8MM] = { .name = "i8mm", .parent = NEON, .needs = HAS_I8MM, .override = kernels_i8mm_override },
};
const uint32_t isa_count = sizeof(isa_table) / sizeof(isa_table[0]);

uint32_t isa_flags(void)
{
	uint32_t flags = 0;

	flags |= getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? HAS_ASIMDDP : 0;
	flags |= getauxval(AT_HWCAP2) & HWCAP2_I8MM ? HAS_I8MM : 0;
	return flags;
}
