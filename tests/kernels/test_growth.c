/*
 * Why it matters: a type that many files know is dear to add, and one of them is forgotten. So a type is known by its id in quant.h, by
 * one file of ref/, and by at most one in each ISA folder; nothing else may ask which type it has. CONTRIBUTING.md, Growing, says
 * the same in words. Floats are left out: the daemon makes vectors of them.
 */
#include "kernels/quant.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FOLDERS "kernels daemon shm client tools"
#define N_MAX   16

/* Whether the file's folder is one below kernels/ that has no earlier file of the list, or the file is quant.h itself. */
static int is_at_home(const char *path, char seen[N_MAX][64], int n_seen)
{
	const char *folder = path + strlen("kernels/"), *end;

	if (!strcmp(path, "kernels/quant.h"))
		return 1;
	if (strncmp(path, "kernels/", strlen("kernels/")) || !(end = strchr(folder, '/')))
		return 0;
	for (int i = 0; i < n_seen; i++)
		if (!strncmp(seen[i], path, (size_t)(end + 1 - path)))
			return 0;
	return 1;
}

/* The sources that name the type, as QUANT_Q4_K or as the end of a function's name, matmul_q4_k; a header beside its C file is one. */
static FILE *list_files(const char *name)
{
	char command[256], lower[16] = "";

	for (size_t i = 0; name[i] && i < sizeof(lower) - 1; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	snprintf(command, sizeof(command),
		 "grep -rlE --include='*.c' --include=quant.h "
		 "'\\b(QUANT_%s|[a-z0-9_]*(pack|quantize|matmul)_%s)\\b' " FOLDERS,
		 name, lower);
	return popen(command, "r");
}

static void check_type(const char *name)
{
	char seen[N_MAX][64], path[64];
	FILE *p = list_files(name);
	int n = 0, n_ref = 0;

	assert_non_null(p);
	while (n < N_MAX && fgets(path, sizeof(path), p)) {
		path[strcspn(path, "\n")] = '\0';
		if (!is_at_home(path, seen, n))
			fail_msg("%s knows %s, and a type has one file a folder of kernels/ (CONTRIBUTING.md, Growing)",
				 path, name);
		n_ref += !strncmp(path, "kernels/ref/", strlen("kernels/ref/"));
		strcpy(seen[n++], path);
	}
	pclose(p);
	assert_int_equal(n_ref, 1);
	assert_in_range(n, 2, N_MAX - 1);
}

static void a_type_has_one_file_a_folder(void **state)
{
	int n = 0;

	(void)state;
	for (uint32_t type = 0; type < QUANT_TYPE_MAX; type++) {
		const struct quant_info *q = quant_info(type);

		if (q && q->block_len > 1) {
			check_type(q->name);
			n++;
		}
	}
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_type_has_one_file_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
