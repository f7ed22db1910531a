/*
 * How a value that a format names is laid out.
 */
#ifndef GYRE_DAEMON_JINJA_LAYOUT_H
#define GYRE_DAEMON_JINJA_LAYOUT_H

#include "daemon/jinja/value.h"

#define JINJA_WIDTH_MAX 100000 /* and precision */

struct jinja_spec {
	char fill[5], align, sign, type; /* align 0: by type; type 0: as the value shows itself */
	char group;                      /* between groups of digits: ',' or '_'; 0: none */
	bool alternate, zero;
	int64_t width, precision; /* precision -1: none */
};

/* v is a number; zeros in front of it are there, blanks are not. */
struct jinja_value *jinja_layout_number(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_spec *o);
/* A string with blanks or o's fill around it; usual: the alignment where o has none. */
struct jinja_value *jinja_layout_text(struct jinja_scratch *s, struct jinja_value *v, const struct jinja_spec *o,
				      char usual);

#endif
