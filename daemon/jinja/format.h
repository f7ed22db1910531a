/*
 * "%s" % values and "{}".format(values).
 */
#ifndef GYRE_DAEMON_JINJA_FORMAT_H
#define GYRE_DAEMON_JINJA_FORMAT_H

#include "daemon/jinja/rows.h"

/* v: a tuple, a dict for %(name)s, or a single value. */
struct jinja_value *jinja_percent(struct jinja_scratch *s, const struct jinja_value *format, struct jinja_value *v);
struct jinja_value *jinja_braces(struct jinja_scratch *s, const struct jinja_value *format, struct jinja_args *a);
/* As datetime.strftime in the C locale, UTC without a name. */
struct jinja_value *jinja_strftime(struct jinja_scratch *s, const struct jinja_value *format, int64_t now);

#endif
