#include "daemon/config/option.h"

#include "daemon/util/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t option_index(const struct option_row *row)
{
	return (uint32_t)(row - option_table);
}

static uint64_t bit(const struct option_row *row)
{
	return 1ull << option_index(row);
}

/* Before any --model, what the command line says is for the models of files, too. */
static int set_model_field(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
			   struct error *e)
{
	struct config_model *m = at->model ? at->model : &c->any;
	int r = option_set_field(m, row, value, e);

	m->set |= bit(row);
	m->origin[option_index(row)] = at->at;
	for (uint32_t i = 0; !at->model && at->is_command_line && i < c->n_model; i++)
		c->model[i].set &= ~bit(row);
	return r;
}

static int set_quota_field(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
			   struct error *e)
{
	struct config_quota *q = at->quota ? at->quota : &c->everybody;

	q->set |= bit(row);
	q->origin[option_index(row)] = at->at;
	return option_set_field(q, row, value, e);
}

int option_set(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
	       struct error *e)
{
	if (row->kind >= KIND_MODEL)
		return option_begin(c, at, row, value, e);
	if (row->scope == SCOPE_MODEL && at->quota)
		return error_set(e, -EINVAL,
				 "%s is a model's: write it below a line model = FILE, or above all sections",
				 row->key);
	if (row->scope == SCOPE_QUOTA && at->model)
		return error_set(e, -EINVAL, "%s is a user's: write it below a line user = NAME, or above all sections",
				 row->key);
	if (row->scope == SCOPE_MODEL)
		return set_model_field(c, at, row, value, e);
	if (row->scope == SCOPE_QUOTA)
		return set_quota_field(c, at, row, value, e);
	c->origin[option_index(row)] = at->at;
	return option_set_field(c, row, value, e);
}

static void inherit(void *to, uint64_t set, const void *from, enum option_scope scope, struct config_origin *origin,
		    const struct config_origin *origin_from)
{
	for (uint32_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_table[i];

		if (row->scope != scope || row->kind >= KIND_MODEL || set & bit(row))
			continue;
		memcpy((char *)to + row->offset, (const char *)from + row->offset, row->size);
		origin[i] = origin_from[i];
	}
}

void option_inherit(struct config *c)
{
	for (uint32_t i = 0; i < c->n_model; i++)
		inherit(&c->model[i], c->model[i].set, &c->any, SCOPE_MODEL, c->model[i].origin, c->any.origin);
	for (uint32_t i = 0; i < c->n_quota; i++)
		inherit(&c->quota[i], c->quota[i].set, &c->everybody, SCOPE_QUOTA, c->quota[i].origin,
			c->everybody.origin);
}

bool option_is_equal(const struct option_row *row, const void *a, const void *b)
{
	return !memcmp((const char *)a + row->offset, (const char *)b + row->offset, row->size);
}

const struct option_row *option_find(const char *key)
{
	for (uint32_t i = 0; i < OPTION_COUNT; i++)
		if (!strcmp(option_table[i].key, key))
			return &option_table[i];
	return NULL;
}

int option_refuse(const char *where, const char *kind, const char *word, size_t n, struct error *e)
{
	struct nearest near;

	nearest_begin(&near, word, n);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		nearest_offer(&near, option_table[i].key);
	if (near.best)
		return error_set(e, -EINVAL, "%sunknown %s '%.*s'; did you mean %s? gyred --help lists them", where,
				 kind, (int)n, word, near.best);
	return error_set(e, -EINVAL, "%sunknown %s '%.*s'; gyred --help lists them", where, kind, (int)n, word);
}

void option_set_defaults(struct config *c)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct option_section all = { 0 };

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (*option_table[i].preset)
			option_set(c, &all, &option_table[i], option_table[i].preset, NULL);
	c->any.set = c->everybody.set = 0;
	if (runtime && *runtime)
		snprintf(c->socket, sizeof(c->socket), "%s/gyre.sock", runtime);
	else
		strcpy(c->socket, "/run/gyre/gyre.sock");
}
