#include "daemon/text/chat_messages.h"
#include "daemon/jinja/value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct chat_run *r, const char *what)
{
	snprintf(r->err, r->err_len, "%s", what);
	return -EINVAL;
}

int chat_is_full(struct chat_run *r)
{
	snprintf(r->err, r->err_len,
		 "the chat's messages take more memory than those of a prompt that fits the context");
	return -E2BIG;
}

struct jinja_value *chat_set(struct jinja_scratch *s, struct jinja_value *dict, const char *key, struct jinja_value *v)
{
	return jinja_dict_set(s, dict, key, strlen(key), v);
}

static struct jinja_value *find(const struct jinja_value *dict, const char *key)
{
	return dict ? jinja_dict_find_text(dict, key, strlen(key)) : NULL;
}

bool chat_has(const struct jinja_value *dict, const char *key)
{
	const struct jinja_value *v = find(dict, key);

	return v && v->kind != JINJA_NONE;
}

/* JSON text of an object; *v NULL where there is none. what: its owner, for messages. */
static int read_object(struct chat_run *r, struct text_span json, const char *what, struct jinja_value **v)
{
	char why[160] = "its JSON is no object";

	*v = json.n ? jinja_json(r->s, json.p, json.n, why, sizeof(why)) : NULL;
	if (!json.n || (*v && (*v)->kind == JINJA_DICT))
		return 0;
	snprintf(r->err, r->err_len, "%s: %s", what, why);
	return -EINVAL;
}

/* ---- variables ---- */

int chat_read_variables(struct chat_run *r, struct text_span json, struct jinja_value **v)
{
	/* Set by gyred itself: the messages, and the special tokens that a vocabulary may have. */
	static const char *const reserved[] = { "messages",  "bos_token", "eos_token", "unk_token",
						"sep_token", "pad_token", "cls_token", "mask_token" };
	int res = read_object(r, json, "chat variables", v);

	if (res < 0 || !*v)
		return res;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (find(*v, reserved[i])) {
			snprintf(r->err, r->err_len, "chat variables: %s is not for a client to set", reserved[i]);
			return -EINVAL;
		}
	r->goes_on = chat_has(*v, "continue_final_message") && jinja_truth(find(*v, "continue_final_message"));
	if (r->goes_on && chat_has(*v, "add_generation_prompt") && jinja_truth(find(*v, "add_generation_prompt")))
		return refuse(r, "chat variables: continue_final_message and add_generation_prompt exclude each other");
	return 0;
}

/* ---- messages ---- */

/*
 * Templates make marks of roles: '<|' + role + '|>'. The roles of chats therefore count as the template's own words; any other
 * does not, or a client's would make any control token.
 */
static const char *const ROLE[] = { "system", "user",  "assistant", "tool",        "developer",
				    "model",  "human", "function",  "observation", "ipython" };

_Static_assert(sizeof(ROLE) / sizeof(ROLE[0]) >= CHAT_ROLE_MAX, "the first are those of enum chat_role");

static struct jinja_value *role_value(struct jinja_scratch *s, const char *p, size_t n)
{
	bool is_known = false;

	for (size_t i = 0; i < sizeof(ROLE) / sizeof(ROLE[0]); i++)
		is_known = is_known || (n == strlen(ROLE[i]) && !memcmp(p, ROLE[i], n));
	return jinja_string(s, p, n, is_known);
}

/* As transformers does: reasoning goes by three names, of which a template knows one. */
static struct jinja_value *alias_reasoning(struct jinja_scratch *s, struct jinja_value *v)
{
	static const char *const name[] = { "reasoning_content", "thinking", "reasoning" };

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		struct jinja_value *given = find(v, name[i]);

		if (!chat_has(v, name[i]))
			continue;
		if (!find(v, "thinking"))
			v = chat_set(s, v, "thinking", given);
		return chat_set(s, v, "reasoning_content", given);
	}
	return v;
}

/* Two members that are not free, of the JSON of message i. */
static int check_members(struct chat_run *r, const struct chat_message *m, const struct jinja_value *more, size_t i)
{
	const struct jinja_value *role = find(more, "role");

	if (find(more, "content") && m->text.n) {
		snprintf(r->err, r->err_len, "chat message %zu has text, and content in its JSON, too", i);
		return -EINVAL;
	}
	if (role && role->kind != JINJA_STRING) {
		snprintf(r->err, r->err_len, "chat message %zu: role is no string", i);
		return -EINVAL;
	}
	return 0;
}

static int read_message(struct chat_run *r, const struct chat_message *m, size_t i, struct jinja_value **v)
{
	bool has_call;
	struct jinja_value *more, *role;
	char what[48];
	int res;

	snprintf(what, sizeof(what), "chat message %zu", i);
	res = read_object(r, m->json, what, &more);
	if (res == 0)
		res = check_members(r, m, more, i);
	if (res < 0)
		return res;
	role = find(more, "role");
	has_call = !m->text.n && chat_has(more, "tool_calls");
	*v = chat_set(r->s, jinja_dict(r->s), "role", role_value(r->s, ROLE[m->role], strlen(ROLE[m->role])));
	*v = chat_set(r->s, *v, "content",
		      has_call ? jinja_none(r->s) : jinja_string(r->s, m->text.n ? m->text.p : "", m->text.n, false));
	if (more)
		*v = jinja_dict_update(r->s, *v, more);
	if (role && *v)
		*v = chat_set(r->s, *v, "role", role_value(r->s, role->s.p, role->n));
	*v = *v && more ? alias_reasoning(r->s, *v) : *v;
	return *v ? 0 : chat_is_full(r);
}

/* ---- the message that an answer goes on from ---- */

/* Where the last text of a list of parts is, or NULL. */
static struct jinja_value *last_text_part(struct jinja_value *content)
{
	for (uint32_t i = content->n; i-- > 0;) {
		struct jinja_value *part = content->l.at[i], *text;

		text = part->kind == JINJA_DICT ? find(part, "text") : NULL;
		if (text && text->kind == JINJA_STRING)
			return part;
	}
	return NULL;
}

static int mark_tail(struct chat_run *r, struct jinja_value *message)
{
	struct jinja_value *content = find(message, "content"), *owner = message, *text = content;
	const char *key = "content";

	if (content->kind == JINJA_LIST) {
		owner = last_text_part(content);
		key = "text";
		text = owner ? find(owner, key) : NULL;
	}
	if (!text || text->kind != JINJA_STRING)
		return refuse(r, "continue_final_message: the last message has no text to go on from");
	if (text->n > r->tail_max - CHAT_MARK_BYTES)
		return chat_is_full(r);
	memcpy(r->tail, text->s.p, text->n);
	memcpy(r->tail + text->n, CHAT_MARK " ", CHAT_MARK_BYTES);
	r->n_tail = text->n + CHAT_MARK_BYTES;
	text = jinja_string(r->s, r->tail, text->n + CHAT_MARK_BYTES - 1, false);
	return chat_set(r->s, owner, key, text) ? 0 : chat_is_full(r);
}

int chat_read_messages(struct chat_run *r, const struct chat_message *m, size_t n, struct jinja_value **list)
{
	struct jinja_value *v = NULL;
	int res = 0;

	*list = jinja_list(r->s);
	for (size_t i = 0; i < n && res == 0; i++) {
		res = read_message(r, &m[i], i, &v);
		if (res == 0 && !(*list = jinja_list_append(r->s, *list, v)))
			res = chat_is_full(r);
	}
	return res == 0 && r->goes_on && v ? mark_tail(r, v) : res;
}
