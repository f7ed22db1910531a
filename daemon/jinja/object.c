/*
 * How objects show themselves. Python would print addresses; these have none to show.
 */
#include "daemon/jinja/eval.h"

#include <stdio.h>

bool jinja_add_object(struct jinja_build *b, const struct jinja_value *v)
{
	const struct jinja_node *n = v->o.what;
	const struct jinja_loop *l = v->o.where;
	char text[96];

	switch (v->kind) {
	case JINJA_MACRO:
		if (!n->a)
			return jinja_add_word(b, "<Macro anonymous>");
		jinja_add_word(b, "<Macro '");
		jinja_add(b, n->value->s.p, n->value->n, NULL);
		return jinja_add_word(b, "'>");
	case JINJA_LOOP:
		snprintf(text, sizeof(text), "<LoopContext %lld/%u>", (long long)l->index0 + 1, l->list->n);
		return jinja_add_word(b, text);
	case JINJA_FUNCTION:
	case JINJA_METHOD:
		snprintf(text, sizeof(text), "<%s %.40s>", v->kind == JINJA_METHOD ? "built-in method" : "function",
			 v->m.row->name);
		return jinja_add_word(b, text);
	default:
		snprintf(text, sizeof(text), "<%s object>", jinja_type(v));
		return jinja_add_word(b, text);
	}
}
