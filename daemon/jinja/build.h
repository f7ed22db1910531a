/*
 * A string under construction, each byte with its mark. The array of marks exists from the first byte on that differs from those
 * before it. Several may be built at once; the one whose array is the arena's newest allocation grows in place.
 */
#ifndef GYRE_DAEMON_JINJA_BUILD_H
#define GYRE_DAEMON_JINJA_BUILD_H

#include "daemon/jinja/value.h"

struct jinja_build {
	struct jinja_scratch *s;
	char *p;
	uint8_t *mark;   /* [cap] once mixed */
	bool mixed, all; /* all: every byte so far is the template's */
	size_t n, cap;
};

/* Room for n bytes at once; 0 where nobody knows. */
void jinja_build_init(struct jinja_build *b, struct jinja_scratch *s, size_t n);
bool jinja_add(struct jinja_build *b, const char *p, size_t n, const uint8_t *mark);
bool jinja_add_word(struct jinja_build *b, const char *word); /* not the template's */
bool jinja_add_string(struct jinja_build *b, const struct jinja_value *string);
bool jinja_add_part(struct jinja_build *b, const struct jinja_value *string, size_t from, size_t to); /* bytes */
bool jinja_add_fill(struct jinja_build *b, char c, size_t n);
/* A character that takes the place of one with this mark (jinja_all or NULL). */
bool jinja_add_rune(struct jinja_build *b, uint32_t c, const uint8_t *mark);
/* Python's str() and repr() of a value. */
bool jinja_add_str(struct jinja_build *b, const struct jinja_value *v);
bool jinja_add_repr(struct jinja_build *b, const struct jinja_value *v);
bool jinja_add_float(struct jinja_build *b, double f);
bool jinja_add_int(struct jinja_build *b, int64_t i);
/* With & < > ' " as HTML wants them. */
bool jinja_add_escaped(struct jinja_build *b, const struct jinja_value *string);
struct jinja_value *jinja_built(struct jinja_build *b);

/* str(v): a string is itself. */
struct jinja_value *jinja_str(struct jinja_scratch *s, struct jinja_value *v);
struct jinja_value *jinja_escape(struct jinja_scratch *s, struct jinja_value *v); /* markup */

/* The mark of one byte, as jinja_all or NULL. */
static inline const uint8_t *jinja_mark_of(const uint8_t *mark, size_t i)
{
	return !mark || mark == jinja_all ? mark : mark[i] ? jinja_all : NULL;
}

#endif
