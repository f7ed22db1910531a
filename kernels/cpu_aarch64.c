/* The levels of 64-bit Arm, and what the kernel says that this CPU has of what they need. */
#include "kernels/isa.h"

#include <asm/hwcap.h>
#include <sys/auxv.h>

enum level { REF, NEON };

#define HAS_ASIMDDP (1u << 0) /* the dot product of Armv8.2, in every server CPU since 2018 */

const char *const isa_flag_name[] = { "asimddp" };
const uint32_t isa_flag_count = sizeof(isa_flag_name) / sizeof(isa_flag_name[0]);

const struct isa isa_table[] = {
	[REF] = { .name = "ref", .parent = -1, .override = kernels_ref_fill, .limits = limits_ref_fill },
	[NEON] = { .name = "neon",
		   .parent = REF,
		   .needs = HAS_ASIMDDP,
		   .override = kernels_neon_override,
		   .limits = limits_neon_override },
};
const uint32_t isa_count = sizeof(isa_table) / sizeof(isa_table[0]);

uint32_t isa_flags(void)
{
	return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? HAS_ASIMDDP : 0;
}
