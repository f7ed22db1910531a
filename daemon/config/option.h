/*
 * The table of options: key, argument, default, explanation and where the value goes, a row each. The command line, files, --help,
 * man pages and completions are made of it. Of this folder only.
 */
#ifndef GYRE_DAEMON_CONFIG_OPTION_H
#define GYRE_DAEMON_CONFIG_OPTION_H

#include "daemon/config/config.h"

#include <stddef.h>

enum option_kind {
	KIND_TEXT,
	KIND_PATH,
	KIND_U32,
	KIND_BYTES,
	KIND_MODE,
	KIND_UIDS,
	KIND_WORD,    /* one of those in the argument, which have | between them: its number */
	KIND_KV_TYPE, /* the following are texts of a certain form */
	KIND_ISA,
	KIND_DATE,
	KIND_TEMPLATE,
	KIND_GROUP_NAME,
	KIND_NAME,
	KIND_NAMES,
	KIND_MODEL, /* these open a section */
	KIND_USER,
	KIND_GROUP
};

/* Whose field it is: the daemon's, or one of each model, or one of each quota. */
enum option_scope { SCOPE_DAEMON, SCOPE_MODEL, SCOPE_QUOTA };

/* What it takes to change the value of a daemon that runs. */
enum option_when { WHEN_RESTARTED, WHEN_RELOADED };

/*
 * The section that keys are in: below a line `model = FILE` they are that model's, below `user = NAME` or `group = NAME` that quota's, up
 * to the next such line or the end of the file. Before the first, they are every model's and everybody's.
 */
struct option_section {
	struct config_model *model; /* one of the two, or none */
	struct config_quota *quota;
	bool is_command_line; /* its models replace those of files, and what stands before them is for those that files have */
	bool has_model;
	struct config_origin at; /* of the line in hand */
};

struct option_row {
	const char *key, *argument, *preset;
	const char *text, *more; /* a line; sentences for gyred.conf(5), "" or with a line break between paragraphs */
	enum option_kind kind;
	enum option_scope scope;
	size_t offset, size;
	uint64_t min, max;
	enum option_when when;
};

#define OPTION_COUNT 44
_Static_assert(OPTION_COUNT <= CONFIG_KEY_MAX, "each has a bit and an origin");

extern const struct option_row option_table[OPTION_COUNT];

/* The value as it was written. 0, or -EINVAL with e, which says what to write. */
int option_set(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
	       struct error *e);
/* option_value.c: into the field of base, which is what row->scope says. The same. */
int option_set_field(void *base, const struct option_row *row, const char *value, struct error *e);
/* option_section.c: row opens a section, and `value` says which. The same. */
int option_begin(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
		 struct error *e);
/* What a section does not say is what all of them have. */
void option_inherit(struct config *c);
void option_set_defaults(struct config *c);
/* Do the fields of a and b, which are what row->scope says, hold the same? */
bool option_is_equal(const struct option_row *row, const void *a, const void *b);
/* NULL: there is none. */
const struct option_row *option_find(const char *key);
/* -EINVAL: `where` (a file's line, or "") has an unknown `kind` of this word of n bytes; e names the nearest that there is. */
int option_refuse(const char *where, const char *kind, const char *word, size_t n, struct error *e);
/* Which option it is. */
uint32_t option_index(const struct option_row *row);

#endif
