/*
 * The parts of a chat, from files and options: the template's variables, and messages as OpenAI's JSON has them, which become the chat
 * data of the rings. JSON is taken apart here; the daemon gets text, and members that it need not understand.
 */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PART_JOIN "\n" /* between the texts of a message that is a list of texts: most templates know only texts */

static json_t *load(const char *path, const char *option)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *f = is_stdin ? stdin : fopen(path, "re");
	json_error_t e;
	json_t *j;

	if (!f) {
		fail(TOOL_FAILED, "--%s: %s: %s", option, path, strerror(errno));
		return NULL;
	}
	j = json_loadf(f, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		fail(TOOL_FAILED, "--%s: %s, line %d: %s", option, path, e.line, e.text);
	if (!is_stdin)
		fclose(f);
	return j;
}

/* ---- variables ---- */

/* KEY=VALUE: JSON, or a word that is none. */
static int set_pair(json_t *v, const char *pair)
{
	const char *value = strchr(pair, '=') + 1;
	json_t *j = json_loads(value, JSON_DECODE_ANY, NULL);
	char *key = strndup(pair, (size_t)(value - 1 - pair));
	int r;

	if (!j)
		j = json_string(value);
	r = key && j ? json_object_set_new(v, key, j) : -1;
	free(key);
	return r == 0 ? TOOL_OK : fail(TOOL_USAGE, "--template-arg %s: is no UTF-8", pair);
}

static int set_tools(json_t *v, const char *path)
{
	json_t *tools = load(path, "tools");
	json_t *inner = json_object_get(tools, "tools");

	if (!tools)
		return TOOL_FAILED;
	if (inner) { /* a whole request */
		json_incref(inner);
		json_decref(tools);
		tools = inner;
	}
	if (!json_is_array(tools)) {
		json_decref(tools);
		return fail(TOOL_FAILED, "--tools: %s holds no list of tools", path);
	}
	return json_object_set_new(v, "tools", tools) == 0 ? TOOL_OK : fail(TOOL_FAILED, "no memory for the tools");
}

/* The variables of --messages as well. */
static int collect_variables(const struct args *a, json_t *v)
{
	int code = TOOL_OK;

	/* Two names are in use for it. */
	if (a->think || a->no_think) {
		json_object_set_new(v, "enable_thinking", json_boolean(a->think));
		json_object_set_new(v, "thinking", json_boolean(a->think));
	}
	if (a->tools)
		code = set_tools(v, a->tools);
	for (uint32_t i = 0; i < a->n_template_arg && code == TOOL_OK; i++)
		code = set_pair(v, a->template_arg[i]);
	return code;
}

int variables_make(const struct args *a, char **json)
{
	json_t *v = json_object();
	int code = collect_variables(a, v);

	*json = code == TOOL_OK && json_object_size(v) ? json_dumps(v, JSON_COMPACT) : NULL;
	json_decref(v);
	return code;
}

/* ---- messages ---- */

static const char *const ROLE[] = { "system", "user", "assistant", "tool", "developer" };

/* GYRE_ROLE_VARIABLES: none of the five. */
static enum gyre_role find_role(const char *name)
{
	uint32_t i = 0;

	while (i < GYRE_ROLE_VARIABLES && strcmp(name, ROLE[i]) != 0)
		i++;
	return (enum gyre_role)i;
}

/* The texts of a list of nothing else, joined; NULL: there is something else in it. */
static json_t *join_parts(const json_t *list)
{
	char *text = NULL;
	size_t n = 0, i;
	json_t *part, *joined = NULL;
	FILE *f = open_memstream(&text, &n);
	bool is_text = f;

	json_array_foreach(list, i, part)
	{
		const json_t *t = json_object_get(part, "text");

		is_text = is_text && json_is_string(t);
		if (is_text)
			fprintf(f, "%s%s", i ? PART_JOIN : "", json_string_value(t));
	}
	if (f && fclose(f) == 0 && is_text)
		joined = json_stringn(text, n);
	free(text);
	return joined;
}

/* OpenAI writes a call's arguments as JSON in a string; templates want the object. */
static void open_arguments(json_t *message)
{
	json_t *call;
	size_t i;

	json_array_foreach(json_object_get(message, "tool_calls"), i, call)
	{
		json_t *function = json_object_get(call, "function");
		const char *text = json_string_value(json_object_get(function, "arguments"));
		json_t *open = text ? json_loads(text, 0, NULL) : NULL;

		if (open)
			json_object_set_new(function, "arguments", open);
	}
}

static int append(struct gyre_chat *c, enum gyre_role role, const char *text, size_t n, const char *json)
{
	size_t n_json = json ? strlen(json) : 0, need = sizeof(struct gyre_message) + n + n_json + 8;
	void *data = realloc(c->data, c->n + need);

	if (!data)
		return fail(TOOL_FAILED, "no memory for the messages");
	c->data = data;
	c->size = c->n + need;
	return gyre_chat_append_json(c, role, text, n, json, n_json) == 0
		       ? TOOL_OK
		       : fail(TOOL_FAILED, "the messages are longer than a request may be");
}

/* One of the file's; it is taken apart. */
static int append_message(struct gyre_chat *c, json_t *m, size_t i)
{
	const char *name = json_string_value(json_object_get(m, "role"));
	enum gyre_role role = find_role(name ? name : "");
	json_t *content = json_object_get(m, "content"), *text = NULL;
	char *json;
	int code;

	if (!name)
		return fail(TOOL_FAILED, "--messages: message %zu has no role", i);
	open_arguments(m);
	if (json_is_string(content))
		text = json_incref(content);
	else if (json_is_array(content))
		text = join_parts(content);
	if (text || (json_is_null(content) && json_object_get(m, "tool_calls")))
		json_object_del(m, "content");
	if (role == GYRE_ROLE_VARIABLES)
		role = GYRE_ROLE_USER; /* its own name stays among the members */
	else
		json_object_del(m, "role");
	json = json_object_size(m) ? json_dumps(m, JSON_COMPACT) : NULL;
	code = append(c, role, text ? json_string_value(text) : "", text ? json_string_length(text) : 0, json);
	free(json);
	json_decref(text);
	return code;
}

static int append_all(struct gyre_chat *c, json_t *list)
{
	int code = TOOL_OK;
	json_t *m;
	size_t i;

	json_array_foreach(list, i, m) if (code == TOOL_OK) code =
		json_is_object(m) ? append_message(c, m, i)
				  : fail(TOOL_FAILED, "--messages: message %zu is no object", i);
	return code;
}

/* The file of --messages: *list, and the variables of a whole request beside it. */
static int load_messages(const char *path, json_t **file, json_t **list, json_t *variables)
{
	static const char *const beside[] = { "tools", "documents" };

	*file = load(path, "messages");
	if (!*file)
		return TOOL_FAILED;
	*list = json_is_array(*file) ? *file : json_object_get(*file, "messages");
	if (!json_is_array(*list))
		return fail(TOOL_FAILED, "--messages: %s holds no list of messages", path);
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
		if (json_object_get(*file, beside[i]))
			json_object_set(variables, beside[i], json_object_get(*file, beside[i]));
	json_object_update(variables, json_object_get(*file, "chat_template_kwargs"));
	return TOOL_OK;
}

int messages_make(const struct args *a, const char *text, size_t n, struct gyre_chat *c)
{
	json_t *variables = json_object(), *file = NULL, *list = NULL;
	char *json = NULL;
	int code = a->messages ? load_messages(a->messages, &file, &list, variables) : TOOL_OK;

	*c = (struct gyre_chat){ 0 };
	if (code == TOOL_OK)
		code = collect_variables(a, variables);
	if (code == TOOL_OK && json_object_size(variables)) {
		json = json_dumps(variables, JSON_COMPACT);
		code = append(c, GYRE_ROLE_VARIABLES, NULL, 0, json);
		free(json);
	}
	if (code == TOOL_OK && a->system)
		code = append(c, GYRE_ROLE_SYSTEM, a->system, strlen(a->system), NULL);
	if (code == TOOL_OK && list)
		code = append_all(c, list);
	if (code == TOOL_OK && text)
		code = append(c, GYRE_ROLE_USER, text, n, NULL);
	json_decref(file);
	json_decref(variables);
	if (code != TOOL_OK) {
		free(c->data);
		c->data = NULL;
	}
	return code;
}
