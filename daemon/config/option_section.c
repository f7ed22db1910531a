/* Lines that open a section: of a model, of a user's quota, of a group's. */
#include "daemon/config/option.h"

#include "daemon/util/number.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

/* A file that is named again goes on with its section: a piece of configuration adds to what another says. */
static int begin_model(struct config *c, struct option_section *at, const char *file, struct error *e)
{
	uint32_t i;

	if (at->is_command_line && !at->has_model)
		c->n_model = 0;
	at->has_model = true;
	at->quota = NULL;
	for (i = 0; i < c->n_model && strcmp(c->model[i].file, file) != 0; i++)
		;
	if (i == CONFIG_MODEL_MAX)
		return error_set(e, -EINVAL, "model: more than %u", CONFIG_MODEL_MAX);
	at->model = &c->model[i];
	if (i < c->n_model)
		return 0;
	*at->model = (struct config_model){ 0 };
	strcpy(at->model->file, file);
	c->n_model++;
	return 0;
}

static int find_user(const char *name, uint32_t *id)
{
	const struct passwd *user = getpwnam(name);

	*id = user ? user->pw_uid : 0;
	return user ? 0 : -ENOENT;
}

static int find_group(const char *name, uint32_t *id)
{
	const struct group *group = getgrnam(name);

	*id = group ? group->gr_gid : 0;
	return group ? 0 : -ENOENT;
}

static int begin_quota(struct config *c, struct option_section *at, const struct option_row *row, const char *name,
		       struct error *e)
{
	enum config_whom whom = row->kind == KIND_USER ? CONFIG_UID : CONFIG_GID;
	uint64_t number;
	uint32_t id, i;

	if (number_whole(name, &number) == 0 && number < UINT32_MAX)
		id = (uint32_t)number;
	else if ((whom == CONFIG_UID ? find_user : find_group)(name, &id) < 0)
		return error_set(e, -EINVAL, "%s: there is no %s '%s' (getent %s)", row->key, row->key, name,
				 whom == CONFIG_UID ? "passwd" : "group");
	at->model = NULL;
	for (i = 0; i < c->n_quota && (c->quota[i].whom != whom || c->quota[i].id != id); i++)
		;
	if (i == CONFIG_QUOTA_MAX)
		return error_set(e, -EINVAL, "%s: more than %u users and groups", row->key, CONFIG_QUOTA_MAX);
	at->quota = &c->quota[i];
	if (i == c->n_quota) {
		*at->quota = (struct config_quota){ .whom = whom, .id = id };
		c->n_quota++;
	}
	return 0;
}

int option_begin(struct config *c, struct option_section *at, const struct option_row *row, const char *value,
		 struct error *e)
{
	bool is_model = row->kind == KIND_MODEL;
	int r;

	if (!*value)
		return error_set(e, -EINVAL, "%s needs a value: %s", row->key, row->argument);
	if (is_model && strlen(value) >= row->size)
		return error_set(e, -EINVAL, "%s: longer than %zu bytes", row->key, row->size - 1);
	r = is_model ? begin_model(c, at, value, e) : begin_quota(c, at, row, value, e);
	if (r == 0)
		(is_model ? at->model->origin : at->quota->origin)[option_index(row)] = at->at;
	return r;
}
