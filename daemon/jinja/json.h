/*
 * JSON out, as Python's json.dumps with ensure_ascii off writes it unless told otherwise.
 */
#ifndef GYRE_DAEMON_JINJA_JSON_H
#define GYRE_DAEMON_JINJA_JSON_H

#include "daemon/jinja/value.h"

struct jinja_json_style {
	bool ascii, sort;
	const struct jinja_value *indent;       /* NULL: on one line; an integer, or a string */
	const struct jinja_value *item, *colon; /* NULL: the usual separators */
};

struct jinja_value *jinja_json_text(struct jinja_scratch *s, const struct jinja_value *v,
				    const struct jinja_json_style *style);

#endif
