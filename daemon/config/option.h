/*
 * The table of options: key, argument, default, explanation and where the value goes, a row each. The command line, files and
 * --help are made of it. Of this folder only.
 */
#ifndef GYRE_DAEMON_CONFIG_OPTION_H
#define GYRE_DAEMON_CONFIG_OPTION_H

#include "daemon/config/config.h"

#include <stddef.h>

enum option_kind { KIND_STRING, KIND_U32, KIND_BYTES, KIND_MODE, KIND_UIDS, KIND_ISA };

struct option_row {
	const char *key, *argument, *preset, *text;
	enum option_kind kind;
	size_t offset, size;
	uint64_t min, max;
};

#define OPTION_COUNT 22

extern const struct option_row option_table[OPTION_COUNT];

/* The value as it was written. 0, or -EINVAL with e, which says what to write. */
int option_set(struct config *c, const struct option_row *row, const char *value, struct error *e);
void option_set_defaults(struct config *c);
/* -EINVAL: `where` (a file's line, or "") has an unknown `kind` of this word of n bytes; e names the nearest that there is. */
int option_refuse(const char *where, const char *kind, const char *word, size_t n, struct error *e);

#endif
