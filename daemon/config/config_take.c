/* What of a configuration that has been read again counts at once, and what does not. */
#include "daemon/config/option.h"

#include "shm/atomic.h"

#include <string.h>

/* Numbers of 4 bytes may be read by other threads. */
static void copy_field(const struct option_row *row, void *to, const void *from)
{
	uint32_t v;

	if (row->size == sizeof(v)) {
		memcpy(&v, (const char *)from + row->offset, sizeof(v));
		store_relaxed((uint32_t *)((char *)to + row->offset), v);
	} else {
		memcpy((char *)to + row->offset, (const char *)from + row->offset, row->size);
	}
}

/* A field that differs. whose: "", or a model's name with a colon behind it. */
static void take_field(struct config_change *change, const struct option_row *row, const char *whose, void *to,
		       const void *from)
{
	if (option_is_equal(row, to, from))
		return;
	if (row->when == WHEN_RELOADED) {
		copy_field(row, to, from);
		change->n_taken++;
		change->say("reload: %s%s has changed", whose, row->key);
	} else {
		change->n_left++;
		change->warn("reload: %s%s has changed: that needs a restart", whose, row->key);
	}
}

static void take_daemon(struct config *live, const struct config *new, struct config_change *change)
{
	change->session_bytes = live->session_bytes != new->session_bytes;
	change->access = live->socket_mode != new->socket_mode || strcmp(live->socket_group, new->socket_group) != 0;
	for (uint32_t i = 0; i < OPTION_COUNT; i++)
		if (option_table[i].scope == SCOPE_DAEMON)
			take_field(change, &option_table[i], "", live, new);
}

static struct config_model *find_model(struct config *c, const char *file)
{
	for (uint32_t i = 0; i < c->n_model; i++)
		if (!strcmp(c->model[i].file, file))
			return &c->model[i];
	return NULL;
}

static void take_model(struct config_model *live, const struct config_model *new, struct config_change *change)
{
	char whose[CONFIG_NAME_MAX + 16];

	snprintf(whose, sizeof(whose), "model %s: ", live->name);
	for (uint32_t i = 0; i < OPTION_COUNT; i++)
		if (option_table[i].scope == SCOPE_MODEL && option_table[i].kind != KIND_MODEL)
			take_field(change, &option_table[i], whose, live, new);
}

static void take_models(struct config *live, struct config *new, struct config_change *change)
{
	for (uint32_t i = 0; i < new->n_model; i++) {
		struct config_model *m = find_model(live, new->model[i].file);

		if (m) {
			take_model(m, &new->model[i], change);
			continue;
		}
		change->n_left++;
		change->warn("reload: model %s is new: a restart has it, or gyre load %s", new->model[i].name,
			     new->model[i].file);
	}
	live->any = new->any; /* for a file that is loaded later */
	for (uint32_t i = 0; i < live->n_model; i++)
		if (!find_model(new, live->model[i].file)) {
			change->n_left++;
			change->warn("reload: model %s is in the configuration no more: a restart drops it, or gyre "
				     "unload %s",
				     live->model[i].name, live->model[i].name);
		}
}

static bool is_same_quota(const struct config_quota *a, const struct config_quota *b)
{
	for (uint32_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_table[i];

		if (row->scope == SCOPE_QUOTA && !option_is_equal(row, a, b))
			return false;
	}
	return a->whom == b->whom;
}

static void take_quotas(struct config *live, const struct config *new, struct config_change *change)
{
	bool is_same = live->n_quota == new->n_quota &&is_same_quota(&live->everybody, &new->everybody);

	for (uint32_t i = 0; is_same && i < live->n_quota; i++)
		is_same = is_same_quota(&live->quota[i], &new->quota[i]);
	if (is_same)
		return;
	memcpy(live->quota, new->quota, sizeof(live->quota));
	live->everybody = new->everybody;
	live->n_quota = new->n_quota;
	change->n_taken++;
	change->say("reload: quotas have changed");
}

void config_take(struct config *live, struct config *new, struct config_change *change)
{
	take_daemon(live, new, change);
	take_models(live, new, change);
	take_quotas(live, new, change);
}
