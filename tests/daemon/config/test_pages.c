/* Why: a page that does not know an option, or tells another default, is worse than none. The committed ones hold what the table says. */
#include "daemon/config/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char page[1 << 17];

static void read_page(const char *path)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = 0;
	fclose(f);
}

static char *print(const char *what)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(config_print(f, what), 0);
	fclose(f);
	return text;
}

static void pages_hold_what_the_table_says(void **state)
{
	static const char *const row[][2] = { { "tools/man/gyred.conf.5", "keys" },
					      { "tools/man/gyred.8", "options" } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		char *text = print(row[i][1]);

		read_page(row[i][0]);
		if (!strstr(page, text))
			fail_msg("%s does not say what the table of options does: run make man", row[i][0]);
		free(text);
	}
}

/* Whatever is printed: each key has its entry, and in it its default. */
static void each_key_has_its_default(void **state)
{
	(void)state;
	read_page("tools/man/gyred.conf.5");
	for (uint32_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_table[i];
		char entry[128], preset[128];
		const char *at, *end, *found;

		assert_non_null(row->key);
		snprintf(entry, sizeof(entry), ".BI \"%s = \" %s\n", row->key, row->argument);
		snprintf(preset, sizeof(preset), "Default %s.", row->preset);
		at = strstr(page, entry);
		if (!at)
			fail_msg("gyred.conf(5) has no entry of %s", row->key);
		end = strstr(at, "\n.TP");
		for (char *p = strchr(at + strlen(entry), '\n'); p && end && p < end; p = strchr(p, '\n'))
			*p = ' '; /* a line may end between the words */
		found = strstr(at, preset);
		if (*row->preset && (!found || (end && found > end)))
			fail_msg("gyred.conf(5) does not say '%s' of %s", preset, row->key);
	}
}

static void help_has_each_key_in_eighty_columns(void **state)
{
	char *text = NULL, *line, *rest;
	size_t n;

	(void)state;
	for (uint32_t width = 80; width <= 100; width += 10) {
		FILE *f = open_memstream(&text, &n);

		config_print_help(f, width);
		fclose(f);
		for (uint32_t i = 0; i < OPTION_COUNT; i++) {
			char name[64];

			snprintf(name, sizeof(name), "\n  --%s ", option_table[i].key);
			if (!strstr(text, name))
				fail_msg("--help does not name %s", option_table[i].key);
		}
		for (rest = text; (line = strsep(&rest, "\n"));)
			if (strlen(line) > width)
				fail_msg("wider than %u columns: %s", width, line);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(pages_hold_what_the_table_says),
					    cmocka_unit_test(each_key_has_its_default),
					    cmocka_unit_test(help_has_each_key_in_eighty_columns) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
