#include "tests/util/sysfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

void sysfs_write(const char *root, const char *path, const char *text)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = strchr(full + strlen(root) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	if (!f)
		fail_msg("%s cannot be written", full);
	fprintf(f, "%s\n", text);
	fclose(f);
}

/* "{*8+7}" for n -> n * 8 + 7; returns what follows. */
static const char *expand_number(char *out, size_t size, const char *s, long n)
{
	char *end = (char *)s + 1;

	if (*end == '*')
		n *= strtol(end + 1, &end, 10);
	if (*end == '+' || *end == '-')
		n += strtol(end, &end, 10);
	if (*end != '}')
		fail_msg("%s: write {+K} or {*M+K}", s);
	snprintf(out, size, "%ld", n);
	return end + 1;
}

static void expand(char *out, size_t size, const char *s, long n)
{
	size_t used = 0;

	while (*s) {
		assert_true(used + 32 < size);
		if (*s == '{') {
			s = expand_number(out + used, size - used, s, n);
			used += strlen(out + used);
		} else if (*s == '\\' && s[1] == 'n') {
			out[used++] = '\n';
			s += 2;
		} else {
			out[used++] = *s++;
		}
	}
	out[used] = '\0';
}

static void write_line(const char *root, char *path, const char *content)
{
	char text[4096], full[256], *open = strchr(path, '{'), *end;
	long first = 0, last = 0, step = 1;

	if (open) {
		*open = '\0';
		first = strtol(open + 1, &end, 10);
		last = strtol(end + 1, &end, 10);
		if (*end == ':')
			step = strtol(end + 1, &end, 10);
		if (*end != '}' || step < 1)
			fail_msg("%s{%s: write {FIRST-LAST} or {FIRST-LAST:STEP}", path, open + 1);
	}
	for (long n = first; n <= last; n += step) {
		expand(text, sizeof(text), content, n);
		if (open && snprintf(full, sizeof(full), "%s%ld%s", path, n, end + 1) >= (int)sizeof(full))
			fail_msg("%s...: too long", full);
		sysfs_write(root, open ? full : path, text);
	}
}

void sysfs_make(char *root, size_t n, const char *machine)
{
	FILE *f = fopen(machine, "r");
	char line[8192];

	if (!f)
		fail_msg("%s cannot be read", machine);
	/* Thousands of small files: to write and remove them takes a disk seconds. */
	snprintf(root, n, "%s/gyre-topology-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(root));
	while (fgets(line, sizeof(line), f)) {
		char *content = strstr(line, " =");

		line[strcspn(line, "\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (*line != '/' || !content)
			fail_msg("%s: %s: write /path = content", machine, line);
		*content = '\0';
		content += content[2] == ' ' ? 3 : 2;
		write_line(root, line, content);
	}
	fclose(f);
}

void sysfs_remove(const char *root)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -r '%s'", root);
	assert_int_equal(system(command), 0);
}
