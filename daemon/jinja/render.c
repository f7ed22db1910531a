/*
 * A rendering from end to end.
 */
#include "daemon/jinja/eval.h"

#include <errno.h>
#include <stdio.h>

/* Each name's meaning outside the template: the caller's variable, a builtin, or nothing. */
static bool globals(struct jinja_scratch *s, const struct jinja *t, const struct jinja_value *vars)
{
	s->global = jinja_alloc(s, (t->n_name + 1) * sizeof(*s->global));
	if (!s->global)
		return false;
	for (uint32_t i = 0; i < t->n_name; i++) {
		const struct jinja_name *name = &t->name[i];

		s->global[i] = NULL;
		if (!name->is_global)
			continue;
		s->global[i] = jinja_dict_find_text(vars, name->p, name->n);
		if (!s->global[i])
			s->global[i] = jinja_builtin(s, name->p, name->n);
	}
	return !jinja_failed(s);
}

static enum jinja_flow run(const struct jinja *t, struct jinja_scratch *s, const struct jinja_value *vars)
{
	struct jinja_frame *f;

	if (jinja_failed(s) || !globals(s, t, vars))
		return FLOW_FAIL;
	f = jinja_frame_new(s, &t->function, NULL);
	return f && jinja_scope_enter(s, f, t->root->scope) ? jinja_run(s, f, t->root->list, t->root->n_list)
							    : FLOW_FAIL;
}

int jinja_render(const struct jinja *t, struct jinja_scratch *s, const struct jinja_value *vars,
		 struct jinja_output *out, char *err, size_t err_len)
{
	static const struct jinja_value empty = { .kind = JINJA_DICT };

	s->n_out = s->n_range = s->range_base = 0;
	s->line = 0;
	s->template = t;
	if (!vars && !jinja_failed(s))
		vars = &empty;
	if (run(t, s, vars) == FLOW_FAIL) {
		snprintf(err, err_len, "line %u: %s", s->line ? s->line : 1, s->message);
		return s->error ? s->error : -EINVAL;
	}
	*out = (struct jinja_output){ .text = s->out, .n = s->n_out, .range = s->range, .n_range = s->n_range };
	return 0;
}
