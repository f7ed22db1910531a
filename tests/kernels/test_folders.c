/*
 * Why it matters: the folder is the promise which CPUs a kernel runs on, and select.c trusts it. One instruction more than the level
 * has, written or made by the compiler, kills gyred on the CPUs in between: VBMI in avx512vnni/ all of Cascade Lake, which no
 * machine that runs these tests may be. So the objects are disassembled.
 */
#include "kernels/kernels.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VBMI   "vperm(b|i2b|t2b)|vpmultishiftqb|vpcompress[bw]|vpexpand[bw]|vpsh[lr]d(v?[wdq])"
#define AVX512 "%zmm|%k[0-7]|[xy]mm(1[6-9]|2[0-9]|3[01])"

/* Armv8.2's dot products; i8mm; and bf16, arithmetic on f16, SVE. */
#define DOTPROD   "\\b[su]dot\\b"
#define I8MM      "\\b([su]mmla|us(dot|mmla)|sudot)\\b"
#define ARM_LATER "\\bbf(dot|mmla|cvt)\\b|\\bfm(la|ul)\tv[0-9]+\\.[48]h|\\bz[0-9]+\\.[bhsd]\\b"

/* What a folder's instructions, as objdump writes them, do not match, and one of it that they do. */
static const struct folder {
	const char *name, *never, *some;
} folders[] = {
	{ "ref", "%ymm|" AVX512 "|" DOTPROD "|" I8MM "|" ARM_LATER, "mulss|fmul" },
	{ "avx2", AVX512 "|vpdpbusd|vpdpwssd", "vpmaddubsw .*%ymm" },
	{ "avxvnni", AVX512, "vpdpbusd .*%ymm" },
	{ "avx512vnni", "\\b(" VBMI "|vdpbf16ps|vpopcnt[bw]|vcvtne2ps2bf16)\\b", "vpdpbusd .*%zmm" },
	{ "amx", "\\b(" VBMI ")\\b", "tdpbssd" },
	{ "zen4", "\\b(" VBMI ")\\b", "vpdpbusd .*%zmm" },
	{ "neon", I8MM "|" ARM_LATER, DOTPROD },
	{ "i8mm", ARM_LATER, I8MM },
};

static bool is_listed(const char *name)
{
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (!strcmp(folders[i].name, name))
			return true;
	return false;
}

static void compile(regex_t *re, const char *pattern)
{
	assert_int_equal(regcomp(re, pattern, REG_EXTENDED | REG_NOSUB), 0);
}

static void check_folder(const struct folder *f)
{
	const char *build = getenv("BUILD"), *objdump = getenv("OBJDUMP");
	char line[512], object[512] = "", symbol[256] = "";
	regex_t never, some;
	size_t n = 0, n_some = 0;
	FILE *p;

	snprintf(line, sizeof(line), "%s -d --no-show-raw-insn %s/obj/kernels/%s/*.o", objdump ? objdump : "objdump",
		 build ? build : "build", f->name);
	p = popen(line, "r");
	assert_non_null(p);
	compile(&never, f->never), compile(&some, f->some);
	while (fgets(line, sizeof(line), p)) {
		if (line[0] != ' ') {
			snprintf(strstr(line, "file format") ? object : symbol, sizeof(symbol), "%.250s", line);
			continue;
		}
		n++;
		n_some += regexec(&some, line, 0, NULL, 0) == 0;
		if (regexec(&never, line, 0, NULL, 0) == 0)
			fail_msg("%s/ has an instruction beyond its level: %s%s%s", f->name, object, symbol, line);
	}
	pclose(p);
	regfree(&never), regfree(&some);
	if (!n || !n_some)
		fail_msg("%s/: %zu instructions, none of them %s: is objdump (binutils) there, and $BUILD the build?",
			 f->name, n, f->some);
}

static void a_folder_keeps_to_its_level(void **state)
{
	(void)state;
	for (int i = ISA_REF; kernels_isa_name((enum kernels_isa)i); i++)
		assert_true(is_listed(kernels_isa_name((enum kernels_isa)i)));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (kernels_isa_parse(folders[i].name) != ISA_MAX) /* else it is another machine's */
			check_folder(&folders[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_keeps_to_its_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
