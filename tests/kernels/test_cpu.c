/*
 * Why: the table of levels decides what runs on CPUs that no test has. A level that is chosen and lacks an instruction kills gyred; one
 * that is never chosen was built for nothing. "This CPU has no avx512vnni" sends its owner to look for a flag that is there, so the
 * missing ones are named: Skylake-SP lacks one of eight.
 */
#include "kernels/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL ((uint32_t)(((uint64_t)1 << isa_flag_count) - 1))

/* Every level builds on ref in the end, and names flags that have names. */
static void every_level_stands_on_ref(void **state)
{
	(void)state;
	assert_true(isa_count > ISA_BASE && isa_count <= ISA_MAX && isa_flag_count <= KERNELS_FLAG_MAX);
	for (uint32_t i = 0; i < isa_count; i++) {
		int at = (int)i;

		for (uint32_t n = 0; isa_table[at].parent >= 0; n++) {
			at = isa_table[at].parent;
			assert_true(n < isa_count);
		}
		assert_int_equal(at, ISA_REF);
		assert_int_equal((isa_table[i].needs | isa_table[i].wants) & ~ALL, 0);
		assert_int_equal(kernels_isa_parse(isa_table[i].name), i);
	}
	assert_int_equal(isa_table[ISA_BASE].parent, ISA_REF);
	assert_null(kernels_isa_name((enum kernels_isa)isa_count));
	assert_int_equal(kernels_isa_parse("auto"), ISA_MAX);
}

static void the_missing_flag_is_named(void **state)
{
	const char *name[KERNELS_FLAG_MAX];

	(void)state;
	assert_int_equal(kernels_missing(ISA_REF, 0, name), 0);
	for (uint32_t isa = 0; isa < isa_count; isa++) {
		uint32_t n_all = kernels_missing((enum kernels_isa)isa, 0, name), n = 0;

		assert_int_equal(kernels_missing((enum kernels_isa)isa, ALL, name), 0);
		for (uint32_t i = 0; i < isa_flag_count; i++)
			if (kernels_missing((enum kernels_isa)isa, ALL & ~(1u << i), name)) {
				assert_string_equal(name[0], isa_flag_name[i]);
				n++;
			}
		assert_int_equal(n, n_all);
	}
}

/* A level can run exactly where nothing is missing, and is refused exactly where it cannot. */
static void levels_agree_with_the_flags(void **state)
{
	const char *name[KERNELS_FLAG_MAX];
	char why[KERNELS_REFUSAL_BYTES], runs[KERNELS_LIST_BYTES];

	(void)state;
	for (uint32_t i = 0; i < isa_count; i++) {
		bool can_run = kernels_can_run((enum kernels_isa)i);

		assert_int_equal(kernels_missing((enum kernels_isa)i, kernels_flags(), name) == 0, can_run);
		assert_int_equal(kernels_isa_refusal(why, sizeof(why), isa_table[i].name) == NULL, can_run);
		assert_true(can_run || strstr(why, name[0]));
	}
	assert_false(kernels_can_run(ISA_MAX));
	kernels_isa_refusal(why, sizeof(why), "mmx");
	assert_non_null(strstr(why, "'mmx' is none of ref, "));
	assert_non_null(strstr(why, kernels_isa_names(runs, sizeof(runs), true)));
	assert_true(kernels_can_run(kernels_preferred(kernels_flags())));
}

/* CPUs by their flags, as /proc/cpuinfo names them, and the level that each should get. Rows of other machines have no such level. */
static const struct {
	const char *cpu, *flags, *level;
} cpus[] = {
#define BASE   " avx2 fma f16c "
#define AVX512 BASE "avx512f avx512bw avx512vl avx512dq "
	{ "Ivy Bridge", "f16c", "ref" },
	{ "Haswell", BASE, "avx2" },
	{ "Zen 3", BASE "by AMD", "avx2" },
	{ "Alder Lake", BASE "avx_vnni", "avxvnni" },
	{ "Skylake-SP", AVX512, "avx2" },
	{ "Cascade Lake", AVX512 "avx512_vnni", "avx512vnni" },
	{ "Sapphire Rapids", AVX512 "avx512_vnni avx_vnni amx_tile amx_int8 5.16", "avx512vnni" },
	{ "Zen 4", AVX512 "avx512_vnni by AMD", "zen4" },
	{ "Cortex-A72", "", "ref" },
	{ "Neoverse N1", "asimddp", "neon" },
	{ "Neoverse V1", "asimddp i8mm", "i8mm" },
};

/* As the words of a list, each of which begins or ends a flag's name. */
static uint32_t flags_of(const char *list)
{
	uint32_t flags = 0;

	for (uint32_t i = 0; i < isa_flag_count; i++) {
		const char *name = isa_flag_name[i], *space = strrchr(name, ' ');
		const char *word = space ? space + 1 : name;
		size_t n = strlen(word);

		for (const char *at = list; (at = strstr(at, word)); at += n)
			if ((at == list || at[-1] == ' ') && (!at[n] || at[n] == ' '))
				flags |= 1u << i;
	}
	return flags;
}

static void every_cpu_gets_the_best_it_has(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++)
		if (kernels_isa_parse(cpus[i].level) != ISA_MAX)
			assert_string_equal(kernels_isa_name(kernels_preferred(flags_of(cpus[i].flags))),
					    cpus[i].level);
	assert_int_equal(kernels_preferred(0), ISA_REF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_level_stands_on_ref),
		cmocka_unit_test(the_missing_flag_is_named),
		cmocka_unit_test(levels_agree_with_the_flags),
		cmocka_unit_test(every_cpu_gets_the_best_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
