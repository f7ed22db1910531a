/* Which implementation serves each operation: ref first, then each ISA the CPU has overwrites upward. */
#include "kernels/isa.h"

#include <string.h>

static const struct {
	const char *name;
	void (*override)(struct kernels *k);
	void (*limits)(struct limits *l); /* NULL: those of the level below */
} isa_table[ISA_MAX] = {
	[ISA_REF] = { "ref", kernels_ref_fill, limits_ref_fill },
	[ISA_AVX2] = { "avx2", kernels_avx2_override, limits_avx2_override },
	[ISA_AVX512VNNI] = { "avx512vnni", kernels_avx512vnni_override, limits_avx512vnni_override },
	[ISA_ZEN4] = { "zen4", kernels_zen4_override, NULL },
};

enum kernels_isa kernels_select(struct kernels *k, enum kernels_isa isa)
{
	uint32_t available = kernels_available();
	enum kernels_isa best = ISA_REF;

	for (int i = ISA_REF; i < ISA_MAX && i <= (int)isa; i++) {
		if (!(available >> i & 1))
			break;
		isa_table[i].override(k);
		k->isa = isa_table[i].name;
		best = (enum kernels_isa)i;
	}
	return best;
}

void kernels_limits(struct limits *l, enum kernels_isa isa)
{
	uint32_t available = kernels_available();

	for (int i = ISA_REF; i < ISA_MAX && i <= (int)isa && available >> i & 1; i++)
		if (isa_table[i].limits)
			isa_table[i].limits(l);
}

const char *kernels_isa_name(enum kernels_isa isa)
{
	return isa < ISA_MAX ? isa_table[isa].name : NULL;
}

enum kernels_isa kernels_isa_parse(const char *name)
{
	int i = ISA_REF;

	while (i < ISA_MAX && strcmp(name, isa_table[i].name))
		i++;
	return (enum kernels_isa)i;
}
