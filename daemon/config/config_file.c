/*
 * A file, then the pieces in its folder, FILE.d/NAME.conf, in the order of their names: a host's own say over a package's.
 */
#include "daemon/config/option.h"

#include "daemon/util/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

CLEANUP_FUNC(FILE *, fclose)

#define FILE_MAX        (1u << 20) /* bytes */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		s[--n] = 0;
	return s;
}

/* Where a file's line is, and where each key was set in it (0: nowhere): the same key twice is a mistake in one of the two. */
struct place {
	const char *path;
	uint32_t line, set[OPTION_COUNT];
	struct option_section section;
};

/* What may be set in each section, and has been in the one before. */
static void begin_section(struct place *at)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (option_table[i].scope != SCOPE_DAEMON)
			at->set[i] = 0;
}

static int set_key(struct config *c, size_t i, const char *value, struct place *at, struct error *e)
{
	struct error why;

	if (option_table[i].kind >= KIND_MODEL)
		begin_section(at);
	if (at->set[i])
		return error_set(e, -EINVAL, "%s:%u: %s has been set in line %d", at->path, at->line,
				 option_table[i].key, at->set[i]);
	at->set[i] = at->section.at.line = at->line;
	return option_set(c, &at->section, &option_table[i], value, &why) < 0
		       ? error_set(e, -EINVAL, "%s:%u: %s", at->path, at->line, why.text)
		       : 0;
}

static int set_line(struct config *c, char *line, struct place *at, struct error *e)
{
	char *key = trim(line), *value = strchr(key, '='), where[PATH_MAX + 16];
	const struct option_row *row;

	if (!*key || *key == '#')
		return 0;
	if (!value)
		return error_set(e, -EINVAL, "%s:%u: write key = value", at->path, at->line);
	*value++ = 0;
	key = trim(key);
	row = option_find(key);
	if (row)
		return set_key(c, option_index(row), trim(value), at, e);
	snprintf(where, sizeof(where), "%s:%u: ", at->path, at->line);
	return option_refuse(where, "key", key, strlen(key), e);
}

/* n bytes of text, a line at a time. */
static int set_lines(struct config *c, char *text, size_t n, struct place *at, struct error *e)
{
	char *end = text + n;
	int r = 0;

	for (char *line = text, *next; r == 0 && line < end; line = next) {
		char *newline = memchr(line, '\n', (size_t)(end - line));

		next = newline ? newline + 1 : end;
		*(newline ? newline : end) = 0;
		at->line++;
		if (strlen(line) != (size_t)((newline ? newline : end) - line))
			return error_set(e, -EINVAL, "%s:%u: holds a byte 0; this is no text", at->path, at->line);
		r = set_line(c, line, at, e);
	}
	return r;
}

static uint32_t note_path(struct config *c, const char *path)
{
	uint32_t at = c->n_paths;
	size_t n = strlen(path) + 1;

	if (n > sizeof(c->paths) - at)
		return 0;
	memcpy(c->paths + at, path, n);
	c->n_paths += (uint32_t)n;
	return at + 1;
}

const char *config_where(const struct config *c, const struct config_origin *o, char *text, size_t n)
{
	*text = 0;
	if (o->path)
		snprintf(text, n, "%s:%u: ", c->paths + o->path - 1, o->line);
	return text;
}

static int read_one(struct config *c, const char *path, struct error *e)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = malloc(FILE_MAX + 1);
	struct place at = { .path = path, .section.at.path = note_path(c, path) };
	size_t n;

	if (!f)
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	if (!text)
		return error_set(e, -ENOMEM, "%s: no memory", path);
	n = fread(text, 1, FILE_MAX + 1, f);
	if (ferror(f)) /* a folder opens, and cannot be read */
		return error_set(e, -EIO, "%s: cannot be read: %s", path, strerror(errno));
	if (n > FILE_MAX)
		return error_set(e, -EFBIG, "%s: has more than %u bytes; this is no configuration", path, FILE_MAX);
	if (n >= strlen(BYTE_ORDER_MARK) && !memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)))
		memset(text, ' ', strlen(BYTE_ORDER_MARK));
	return set_lines(c, text, n, &at, e);
}

int config_file_read(struct config *c, const char *path, struct error *e)
{
	char pattern[PATH_MAX + 16];
	glob_t found = { 0 };
	int r = read_one(c, path, e);

	if (r < 0)
		return r;
	snprintf(pattern, sizeof(pattern), "%s.d/*.conf", path);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
			r = read_one(c, found.gl_pathv[i], e);
	globfree(&found);
	return r;
}
