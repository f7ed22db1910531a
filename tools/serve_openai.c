/*
 * The server of --openai, before the clients: is it there, what does it call its model, and are prompts token ids of --model's
 * vocabulary, if that is given and the server takes them, or words of about as many tokens?
 */
#include "tools/serve.h"

#include "daemon/gguf/gguf.h"
#include "daemon/text/text.h"
#include "daemon/text/vocab_gguf.h"
#include "daemon/util/utf8.h"
#include "tools/serve_openai.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

/* ---- one question that is waited for ---- */

struct reply {
	struct event_base *base; /* until the reply is there; a kept connection alone would hold it for ever */
	int status;              /* 0: none came */
	char *body;              /* NUL-terminated, the caller's */
	size_t n_body;
};

static void on_reply(struct evhttp_request *r, void *arg)
{
	struct reply *reply = arg;
	struct evbuffer *in = r ? evhttp_request_get_input_buffer(r) : NULL;

	reply->status = r ? evhttp_request_get_response_code(r) : 0;
	reply->n_body = in ? evbuffer_get_length(in) : 0;
	reply->body = malloc(reply->n_body + 1);
	if (reply->body) {
		if (in)
			evbuffer_copyout(in, reply->body, reply->n_body);
		reply->body[reply->n_body] = 0;
	}
	event_base_loopbreak(reply->base);
}

struct evhttp_connection *serve_openai_connect(const struct serve *s, struct event_base *base)
{
	struct evhttp_connection *c = evhttp_connection_base_new(base, NULL, s->host, s->port);

	if (c)
		evhttp_connection_set_timeout(c, atoi(SERVE_OPENAI_PATIENCE));
	return c;
}

static int start(const struct serve *s, struct evhttp_connection *c, struct evhttp_request *r, const char *body,
		 const char *path)
{
	struct evkeyvalq *head = evhttp_request_get_output_headers(r);
	char host[300], url[1024];

	snprintf(host, sizeof(host), "%s:%u", s->host, s->port);
	snprintf(url, sizeof(url), "%s%s", s->path, path);
	evhttp_add_header(head, "Host", host);
	evhttp_add_header(head, "Connection", "close");
	if (body) {
		evhttp_add_header(head, "Content-Type", "application/json");
		evbuffer_add(evhttp_request_get_output_buffer(r), body, strlen(body));
	}
	return evhttp_make_request(c, r, body ? EVHTTP_REQ_POST : EVHTTP_REQ_GET, url);
}

int serve_openai_post(const struct serve *s, struct evhttp_connection *c, struct evhttp_request *r, const char *body)
{
	return start(s, c, r, body, "/v1/completions");
}

/* body NULL: GET. */
static struct reply ask(const struct serve *s, const char *path, const char *body)
{
	struct event_base *base = event_base_new();
	struct reply reply = { .base = base };
	struct evhttp_connection *c = base ? serve_openai_connect(s, base) : NULL;
	struct evhttp_request *r = c ? evhttp_request_new(on_reply, &reply) : NULL;

	if (r && start(s, c, r, body, path) == 0)
		event_base_dispatch(base);
	if (c)
		evhttp_connection_free(c);
	if (base)
		event_base_free(base);
	return reply;
}

/* OpenAI's { "error": { "message": … } }, and what others make of it. */
static const char *find_message(const json_t *j)
{
	static const char *const key[] = { "message", "detail", "error" };

	for (size_t i = 0; i < sizeof(key) / sizeof(key[0]); i++) {
		const json_t *v = json_object_get(j, key[i]);

		if (json_is_string(v))
			return json_string_value(v);
	}
	return json_is_object(json_object_get(j, "error")) ? find_message(json_object_get(j, "error")) : NULL;
}

void serve_openai_words(char *why, const char *body, size_t n)
{
	json_t *j = json_loadb(body, n, 0, NULL);
	const char *message = find_message(j);

	n = message ? strlen(message) : n;
	n = n < SERVE_WHY_BYTES ? n : SERVE_WHY_BYTES - 1;
	snprintf(why, SERVE_WHY_BYTES, "%.*s", (int)n, message ? message : body);
	for (char *p = why; *p; p++)
		*p = (unsigned char)*p < ' ' ? ' ' : *p; /* one line */
	json_decref(j);
}

/* ---- the address ---- */

static int parse_url(struct serve *s, const char *text)
{
	struct evhttp_uri *u = evhttp_uri_parse(text);
	const char *scheme = u ? evhttp_uri_get_scheme(u) : NULL, *host = u ? evhttp_uri_get_host(u) : NULL;
	const char *path = u ? evhttp_uri_get_path(u) : NULL;
	int port = u ? evhttp_uri_get_port(u) : 0;
	size_t n = path ? strlen(path) : 0;
	bool is_good = scheme && !strcmp(scheme, "http") && host && *host && port != 0 && n < 512;

	while (n && path[n - 1] == '/')
		n--;
	if (n >= 3 && !strncmp(path + n - 3, "/v1", 3))
		n -= 3;
	if (is_good) {
		s->host = strdup(host);
		s->path = strndup(path ? path : "", n);
		s->port = (uint16_t)(port < 0 ? 80 : port);
	}
	if (u)
		evhttp_uri_free(u);
	if (!is_good)
		return fail(TOOL_USAGE,
			    "--openai: '%s' is no address of plain HTTP, such as http://127.0.0.1:8080; there is no "
			    "TLS here",
			    text);
	return s->host && s->path ? TOOL_OK : fail(TOOL_FAILED, "no memory for an address");
}

/* What the server answers instead of its models: that it loads one, say. */
static int refuse_models(const struct serve *s, const struct reply *reply)
{
	char why[SERVE_WHY_BYTES] = "";

	if (reply->body)
		serve_openai_words(why, reply->body, reply->n_body);
	return fail(
		TOOL_FAILED,
		"http://%s:%u%s/v1/models names no model (HTTP %d: %.80s): is it an OpenAI server, and ready? --model "
		"names a model without being asked",
		s->host, s->port, s->path, reply->status, why);
}

static int find_model(struct serve *s)
{
	struct reply reply = ask(s, "/v1/models", NULL);
	json_t *j = reply.body ? json_loadb(reply.body, reply.n_body, 0, NULL) : NULL;
	const char *id = json_string_value(json_object_get(json_array_get(json_object_get(j, "data"), 0), "id"));
	int code = TOOL_OK;

	if (!reply.status)
		code = fail(TOOL_NO_DAEMON, "no server on http://%s:%u: start one, or correct --openai", s->host,
			    s->port);
	else if (!id && !*s->model)
		code = refuse_models(s, &reply);
	else if (!*s->model)
		snprintf(s->model, sizeof(s->model), "%s", id);
	json_decref(j);
	free(reply.body);
	return code;
}

/* ---- the prompts ---- */

static int add_ids(struct serve *s, const struct vocab *v)
{
	const char *words = serve_load_words();
	size_t n = strlen(words);
	struct vocab_scratch *scratch = vocab_scratch_new(n * VOCAB_GROWTH + 8);
	uint32_t *id = malloc(VOCAB_ID_MAX(n) * sizeof(*id));
	int r = -ENOMEM;

	if (id && scratch)
		r = vocab_tokenize(v, scratch, words, n, false, false, id, VOCAB_ID_MAX(n));
	if (r > 0)
		r = serve_load_add(s, id, (size_t)r);
	vocab_scratch_free(scratch);
	free(id);
	return r < 0 || !s->n_id ? fail(TOOL_FAILED, "no tokens of English words can be made") : TOOL_OK;
}

static int read_ids(struct serve *s, const char *path)
{
	struct error e = { "" };
	struct vocab *v = NULL;
	struct gguf *g = NULL;
	char why[256] = "";
	int code;

	if (gguf_open_metadata(&g, path, &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	if (vocab_from_gguf(&v, g, why, sizeof(why)) < 0)
		code = fail(TOOL_FAILED, "%s: %s", path, why);
	else
		code = add_ids(s, v);
	vocab_free(v);
	gguf_close(g);
	return code;
}

/* Some servers take texts only. They are asked once; any answer but a success means words. */
static void try_ids(struct serve *s)
{
	json_t *j = json_pack("{s:s,s:[i,i],s:i}", "model", s->model, "prompt", (int)s->id[0], (int)s->id[s->n_id / 2],
			      "max_tokens", 1);
	char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;
	struct reply reply = { .status = 0 };
	char why[SERVE_WHY_BYTES] = "";

	if (body)
		reply = ask(s, "/v1/completions", body);
	if (reply.status != HTTP_OK) {
		if (reply.body)
			serve_openai_words(why, reply.body, reply.n_body);
		fprintf(stderr, "gyre: the server takes no token ids (HTTP %d: %s): prompts are texts\n", reply.status,
			why);
		free(s->id);
		s->id = NULL;
		s->n_id = 0;
	}
	free(reply.body);
	free(body);
	json_decref(j);
}

int serve_openai_prepare(struct serve *s)
{
	const char *model = s->args->model;
	bool is_file = model && link_is_file(model);
	int code = parse_url(s, s->args->serve.openai);

	if (model && !is_file)
		snprintf(s->model, sizeof(s->model), "%s", model);
	if (code == TOOL_OK)
		code = find_model(s);
	if (code == TOOL_OK && is_file)
		code = read_ids(s, model);
	if (code == TOOL_OK && s->id)
		try_ids(s);
	return code;
}

void serve_openai_free(struct serve *s)
{
	free(s->host);
	free(s->path);
}
