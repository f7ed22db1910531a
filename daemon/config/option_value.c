/* A value as it is written becomes a field, or is refused in words that say what to write. */
#include "daemon/config/option.h"

#include "daemon/util/number.h"
#include "kernels/kernels.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int set_number(char *field, const struct option_row *row, const char *value, struct error *e)
{
	bool is_bytes = row->kind == KIND_BYTES;
	char range[64];
	uint64_t v = 0;
	int r;

	if (!*value)
		return error_set(e, -EINVAL, "%s needs a value: %s", row->key, row->argument);
	r = is_bytes ? number_bytes(value, &v) : number_whole(value, &v);
	if (r == -EINVAL && is_bytes)
		return error_set(e, -EINVAL, "%s: '%s' is no size; write bytes, or a number with K, M, G or T: 512M",
				 row->key, value);
	if (r < 0 || v < row->min || v > row->max)
		return error_set(e, -EINVAL, "%s: '%s' is not a whole number %s", row->key, value,
				 is_bytes ? "of less than 2^64"
					  : number_range(range, sizeof(range), row->min, row->max));
	if (is_bytes)
		*(uint64_t *)field = v;
	else
		*(uint32_t *)field = (uint32_t)v;
	return 0;
}

/* The number of a word among those of the argument. */
static int set_word(uint32_t *field, const struct option_row *row, const char *value, struct error *e)
{
	const char *at = row->argument;

	for (uint32_t i = 0; *at; i++) {
		size_t n = strcspn(at, "|");

		if (strlen(value) == n && !strncmp(at, value, n)) {
			*field = i;
			return 0;
		}
		at += n + (at[n] == '|');
	}
	return error_set(e, -EINVAL, "%s: '%s' is none of %s", row->key, value, row->argument);
}

/* Octal, as chmod has it. */
static int set_mode(uint32_t *field, const struct option_row *row, const char *value, struct error *e)
{
	char *end;
	unsigned long mode = strtoul(value, &end, 8);

	if (!isdigit((unsigned char)*value) || *end || mode > row->max)
		return error_set(e, -EINVAL, "%s: '%s' is no mode; write it as chmod has it, in digits: 0660", row->key,
				 value);
	*field = (uint32_t)mode;
	return 0;
}

/* "0,1000"; nothing: nobody. */
static int set_uids(struct config_uids *u, const char *key, const char *value, struct error *e)
{
	*u = (struct config_uids){ 0 };
	while (*value) {
		char *end = NULL;
		unsigned long uid = isdigit((unsigned char)*value) ? strtoul(value, &end, 10) : UINT32_MAX;

		if (uid >= UINT32_MAX || (*end && *end != ',') || (*end && !end[1]))
			return error_set(e, -EINVAL,
					 "%s: '%s': write numbers with commas between them, as in 0,1000 (id -u NAME)",
					 key, value);
		if (u->n == CONFIG_UID_MAX)
			return error_set(e, -EINVAL, "%s: more than %u", key, CONFIG_UID_MAX);
		u->uid[u->n++] = (uint32_t)uid;
		value = *end ? end + 1 : end;
	}
	return 0;
}

/* ---- texts ---- */

static void append(char *list, size_t n, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, n - at, "%s%s", at ? ", " : "", name);
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

static int check_isa(const char *isa, struct error *e)
{
	char why[KERNELS_REFUSAL_BYTES];

	if (!strcmp(isa, "auto") || !kernels_isa_refusal(why, sizeof(why), isa))
		return 0;
	return error_set(e, -EINVAL, "isa: %s; --isa auto takes the best", why);
}

/* A day that there is: strptime takes a 31st of February. */
static int check_date(const char *date, struct error *e)
{
	struct tm tm = { 0 }, there;
	const char *end = strptime(date, "%Y-%m-%d", &tm);

	there = tm;
	if (end && !*end && timegm(&there) != -1 && there.tm_mday == tm.tm_mday)
		return 0;
	return error_set(e, -EINVAL, "chat-date: '%s' is no day; write YYYY-MM-DD: 2024-07-26", date);
}

static int check_group(const struct option_row *row, const char *name, struct error *e)
{
	return getgrnam(name) ? 0 : error_set(e, -EINVAL, "%s: there is no group '%s' (getent group)", row->key, name);
}

static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || strchr("/,'\"", s[i]))
			return false;
	return n && n < CONFIG_NAME_MAX;
}

static int check_name(const char *name, struct error *e)
{
	return is_name(name, strlen(name))
		       ? 0
		       : error_set(e, -EINVAL,
				   "name: '%s': write up to %u bytes without blanks, commas, quotes and slashes", name,
				   CONFIG_NAME_MAX - 1);
}

static int check_form(const struct option_row *row, const char *value, struct error *e)
{
	switch (row->kind) {
	case KIND_KV_TYPE:
		return check_kv_type(value, e);
	case KIND_ISA:
		return check_isa(value, e);
	case KIND_DATE:
		return check_date(value, e);
	case KIND_GROUP_NAME:
		return check_group(row, value, e);
	case KIND_NAME:
		return check_name(value, e);
	default:
		return 0;
	}
}

static int set_text(char *field, const struct option_row *row, const char *value, struct error *e)
{
	size_t max = row->max ? row->max : row->size - 1;
	int r;

	if (!*value)
		return error_set(e, -EINVAL, "%s needs a value: %s", row->key, row->argument);
	if (strlen(value) > max)
		return error_set(e, -EINVAL, "%s: longer than %zu bytes", row->key, max);
	r = check_form(row, value, e);
	if (r < 0)
		return r;
	memset(field, 0, row->size);
	strcpy(field, value);
	return 0;
}

/* "a, b" is stored as "a,b". */
static int set_names(char *field, const struct option_row *row, const char *value, struct error *e)
{
	char list[1024] = "";
	size_t n;

	if (strlen(value) >= row->size)
		return error_set(e, -EINVAL, "%s: longer than %zu bytes", row->key, row->size - 1);
	for (const char *at = value;; at += n + 1) {
		size_t len;

		at += strspn(at, " \t");
		n = strcspn(at, ",");
		for (len = n; len && isspace((unsigned char)at[len - 1]); len--)
			;
		if (!is_name(at, len))
			return error_set(e, -EINVAL, "%s: '%s': write names of models with commas between them: a,b",
					 row->key, value);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.*s", *list ? "," : "", (int)len, at);
		if (!at[n])
			break;
	}
	memset(field, 0, row->size);
	strcpy(field, list);
	return 0;
}

int option_set_field(void *base, const struct option_row *row, const char *value, struct error *e)
{
	char *field = (char *)base + row->offset;

	switch (row->kind) {
	case KIND_MODE:
		return set_mode((uint32_t *)field, row, value, e);
	case KIND_WORD:
		return set_word((uint32_t *)field, row, value, e);
	case KIND_UIDS:
		return set_uids((struct config_uids *)field, row->key, value, e);
	case KIND_U32:
	case KIND_BYTES:
		return set_number(field, row, value, e);
	case KIND_NAMES:
		return set_names(field, row, value, e);
	default:
		return set_text(field, row, value, e);
	}
}
