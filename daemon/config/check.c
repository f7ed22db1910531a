#include "daemon/config/check.h"
#include "daemon/util/number.h"
#include "daemon/machine/placement.h"
#include "kernels/kernels.h"

#include <errno.h>
#include <string.h>

static void append(char *list, size_t n, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, n - at, "%s%s", at ? ", " : "", name);
}

static int check_isa(const char *isa, struct error *e)
{
	char why[KERNELS_REFUSAL_BYTES];

	if (!*isa || !strcmp(isa, "auto") || !kernels_isa_refusal(why, sizeof(why), isa))
		return 0;
	return error_set(e, -EINVAL, "isa: %s; --isa auto takes the best", why);
}

static int check_kv_type(const char *type, struct error *e)
{
	char list[256] = "";

	if (kvq_parse(type) != KVQ_TYPE_MAX)
		return 0;
	for (int i = 0; i < KVQ_TYPE_MAX; i++)
		append(list, sizeof(list), kvq_name((enum kvq_type)i));
	return error_set(e, -EINVAL, "kv-type: '%s' is none of %s", type, list);
}

/* All pools together, without the weights, which are not known yet: a pool refused here could not run. */
static int check_memory(const struct config *c, const char *root, struct error *e)
{
	size_t available = placement_available(root, -1);
	uint64_t bytes = 0;
	char want[32], have[32];

	for (uint32_t i = 0; i < c->n_model; i++)
		bytes = bytes + c->model[i].kv_bytes < bytes ? UINT64_MAX : bytes + c->model[i].kv_bytes;
	if (bytes <= available / c->n_replica)
		return 0;
	number_size(want, sizeof(want), bytes);
	number_size(have, sizeof(have), available / c->n_replica);
	return error_set(e, -EINVAL, "kv-bytes: %s%s%s, but this machine has %s left%s; lower it", want,
			 c->n_model > 1 ? " of all models" : "", c->n_replica > 1 ? " a replica" : "", have,
			 c->n_replica > 1 ? " for each" : "");
}

/* Less than a client's rings take would refuse each of them, after "ready" was said. */
static int check_sessions(const struct config *c, struct error *e)
{
	char have[32];

	if (!c->session_bytes || c->session_bytes >= CONFIG_SESSION_MIN)
		return 0;
	number_size(have, sizeof(have), c->session_bytes);
	return error_set(e, -EINVAL,
			 "session-bytes: %s hold no client's rings; write %uM or more, or 0 for half of what is left",
			 have, CONFIG_SESSION_MIN >> 20);
}

int check_config(const struct config *c, const char *root, struct error *e)
{
	int r = check_isa(c->isa, e);

	for (uint32_t i = 0; r == 0 && i < c->n_model; i++)
		r = check_kv_type(c->model[i].kv_type, e);
	if (r == 0)
		r = check_sessions(c, e);
	return r < 0 ? r : check_memory(c, root, e);
}
