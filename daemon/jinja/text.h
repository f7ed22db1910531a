/*
 * Shared by filters and methods of strings. Results are slices of their operands where they can be; marks go along.
 */
#ifndef GYRE_DAEMON_JINJA_TEXT_H
#define GYRE_DAEMON_JINJA_TEXT_H

#include "daemon/jinja/build.h"

enum jinja_case { CASE_UPPER, CASE_LOWER, CASE_CAPITAL, CASE_TITLE, CASE_SWAP, CASE_FOLD };

struct jinja_value *jinja_text_case(struct jinja_scratch *s, const struct jinja_value *v, enum jinja_case how);
struct jinja_value *jinja_text_part(struct jinja_scratch *s, const struct jinja_value *v, size_t from,
				    size_t to); /* bytes */
/* chars NULL: white space. */
struct jinja_value *jinja_text_strip(struct jinja_scratch *s, const struct jinja_value *v,
				     const struct jinja_value *chars, bool left, bool right);
/* count < 0: all. */
struct jinja_value *jinja_text_replace(struct jinja_scratch *s, const struct jinja_value *v,
				       const struct jinja_value *old, const struct jinja_value *by, int64_t count);
/* On `sides` 1 (left: text to the left), 2 (right), 3 (center). */
struct jinja_value *jinja_text_pad(struct jinja_scratch *s, struct jinja_value *v, int64_t width,
				   const struct jinja_value *fill, int sides);
struct jinja_value *jinja_text_lines(struct jinja_scratch *s, const struct jinja_value *v, bool keep_ends);
/* Whether a newline put behind v would begin a further line. */
bool jinja_text_ends_line(const struct jinja_value *v);
/* By white space (by NULL) or a string, at most `max` times (< 0: any number), from the right or the left. */
struct jinja_value *jinja_text_split(struct jinja_scratch *s, const struct jinja_value *v, const struct jinja_value *by,
				     int64_t max, bool from_right);
/* Where `what` begins in bytes [from, to) of v, first or last; -1. */
int64_t jinja_text_find(struct jinja_scratch *s, const struct jinja_value *v, size_t from, size_t to,
			const struct jinja_value *what, bool last);

#endif
