/*
 * The part of an item that a filter asks for: an attribute "a.b.0" of it, put in lower case where case does not count.
 */
#ifndef GYRE_DAEMON_JINJA_PICK_H
#define GYRE_DAEMON_JINJA_PICK_H

#include "daemon/jinja/rows.h"

struct jinja_pick {
	struct jinja_value *attribute; /* NULL or none: the item itself */
	struct jinja_value *otherwise; /* for undefined ones; NULL: as they are */
	bool fold;
};

struct jinja_value *jinja_picked(struct jinja_scratch *s, const struct jinja_pick *pick, struct jinja_value *item);
/* A list of tuples. */
struct jinja_value *jinja_dict_items(struct jinja_scratch *s, const struct jinja_value *dict);

#endif
