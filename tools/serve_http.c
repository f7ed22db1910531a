/*
 * Requests to an OpenAI server: streamed /v1/completions over plain HTTP/1.1 by libevent, a connection for each request: one
 * that is kept may be closed by the server just as the next request is sent. A chunk of the stream with text is a token to the clock, as in vLLM's client; how many tokens there were, `usage` says
 * where the server sends it.
 */
#include "tools/serve.h"

#include "tools/serve_openai.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 1.0

/* One connection, and the request on it. */
struct flight {
	struct flight *next; /* free ones */
	struct serve_client *c;
	struct evhttp_connection *connection; /* of the last request, until there is another */
	struct evbuffer *in;                  /* of the answer, what is not read yet */
	uint32_t i;
	bool is_whole; /* the stream has said that it ends */
	bool is_over;  /* a line of it was an error: why */
	enum evhttp_request_error error;
	bool has_error;
	char why[SERVE_WHY_BYTES];
};

struct http {
	struct event_base *base;
	struct event *timer;
	struct flight *idle;
};

static void ignore(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static int http_open(struct serve_client *c, char *why)
{
	struct http *h = calloc(1, sizeof(*h));

	c->link = h;
	if (h && (h->base = event_base_new()) && (h->timer = evtimer_new(h->base, ignore, NULL)))
		return 0;
	snprintf(why, SERVE_WHY_BYTES, "no memory for a client");
	return -ENOMEM;
}

static void free_flight(struct flight *f)
{
	if (f->connection)
		evhttp_connection_free(f->connection);
	if (f->in)
		evbuffer_free(f->in);
	free(f);
}

static void http_close(struct serve_client *c)
{
	struct http *h = c->link;

	while (h->idle) {
		struct flight *f = h->idle;

		h->idle = f->next;
		free_flight(f);
	}
	event_free(h->timer);
	event_base_free(h->base);
	free(h);
}

/* ---- the answer ---- */

static bool is_token(const json_t *choice)
{
	const char *text = json_string_value(json_object_get(choice, "text"));

	return (text && *text) || (text && json_is_null(json_object_get(choice, "finish_reason")));
}

static void read_event(struct flight *f, const char *data)
{
	struct serve_request *q = &f->c->s->request[f->i];
	json_t *j = json_loads(data, 0, NULL), *usage = json_object_get(j, "usage");

	if (!strcmp(data, "[DONE]")) {
		f->is_whole = true;
	} else if (!j || json_object_get(j, "error")) {
		f->is_over = true;
		serve_openai_words(f->why, data, strlen(data));
	} else if (is_token(json_array_get(json_object_get(j, "choices"), 0))) {
		serve_token(f->c, f->i);
	}
	if (json_is_object(usage)) {
		q->n_read = (uint32_t)json_integer_value(json_object_get(usage, "prompt_tokens"));
		q->n_written = (uint32_t)json_integer_value(json_object_get(usage, "completion_tokens"));
	}
	json_decref(j);
}

/* Server-sent events: lines, of which those of data count. `error:` is llama.cpp's own. */
static void read_lines(struct flight *f)
{
	char *line;

	while (!f->is_over && (line = evbuffer_readln(f->in, NULL, EVBUFFER_EOL_CRLF))) {
		if (!strncmp(line, "data:", 5))
			read_event(f, line + 5 + strspn(line + 5, " "));
		else if (!strncmp(line, "error:", 6)) {
			f->is_over = true;
			serve_openai_words(f->why, line + 6, strlen(line + 6));
		}
		free(line);
	}
}

static void on_chunk(struct evhttp_request *r, void *arg)
{
	struct flight *f = arg;

	evbuffer_add_buffer(f->in, evhttp_request_get_input_buffer(r));
	if (evhttp_request_get_response_code(r) == HTTP_OK)
		read_lines(f);
}

static void on_error(enum evhttp_request_error error, void *arg)
{
	struct flight *f = arg;

	f->error = error;
	f->has_error = true;
}

/* 0: the answer is whole. */
static int judge(struct flight *f, struct evhttp_request *r)
{
	const struct serve_request *q = &f->c->s->request[f->i];
	int status = r ? evhttp_request_get_response_code(r) : 0;
	size_t n = evbuffer_get_length(f->in);

	if (f->is_over)
		return -EREMOTEIO;
	if (status && status != HTTP_OK) {
		char head[32];

		snprintf(head, sizeof(head), "HTTP %d", status);
		serve_openai_words(f->why, n ? (const char *)evbuffer_pullup(f->in, -1) : head, n ? n : strlen(head));
		return -EREMOTEIO;
	}
	if (!status && !q->n_stamp && !(f->has_error && f->error == EVREQ_HTTP_TIMEOUT)) {
		snprintf(f->why, sizeof(f->why), "the server closed the connection or takes none");
		return -ECONNREFUSED;
	}
	if (!f->is_whole)
		snprintf(f->why, sizeof(f->why),
			 f->has_error && f->error == EVREQ_HTTP_TIMEOUT
				 ? "the server sent nothing for " SERVE_OPENAI_PATIENCE " seconds"
				 : "the stream ended before its [DONE]");
	else if (!q->n_stamp)
		snprintf(f->why, sizeof(f->why), "the answer had no tokens");
	return f->is_whole && q->n_stamp ? 0 : -ECONNRESET;
}

static void on_done(struct evhttp_request *r, void *arg)
{
	struct flight *f = arg;
	struct http *h = f->c->link;
	struct serve_request *q = &f->c->s->request[f->i];
	int res;

	if (r)
		on_chunk(r, f);
	res = judge(f, r);
	if (!q->n_written)
		q->n_written = q->n_stamp;
	if (!q->n_read)
		q->n_read = q->n_prompt;
	serve_end(f->c, f->i, res, f->why);
	f->next = h->idle;
	h->idle = f;
}

/* ---- the question ---- */

static json_t *make_prompt(const struct serve *s, uint32_t i)
{
	uint32_t n = s->request[i].n_prompt, *id;
	json_t *prompt;

	if (!s->id) {
		char *text = serve_load_text(s, i);

		prompt = text ? json_string(text) : NULL;
		free(text);
		return prompt;
	}
	id = malloc(n * sizeof(*id));
	prompt = json_array();
	if (id)
		serve_load_ids(s, i, id);
	for (uint32_t k = 0; id && k < n; k++)
		json_array_append_new(prompt, json_integer(id[k]));
	free(id);
	return prompt;
}

/* ignore_eos is of vLLM and of llama.cpp: as many tokens as asked for, as with gyred. */
static char *make_body(const struct serve *s, uint32_t i)
{
	json_t *j = json_pack("{s:s,s:o,s:i,s:f,s:I,s:b,s:b,s:{s:b}}", "model", s->model, "prompt", make_prompt(s, i),
			      "max_tokens", (int)s->request[i].n_output, "temperature",
			      (double)s->args->sampling.temperature, "seed", (json_int_t)i, "ignore_eos", 1, "stream",
			      1, "stream_options", "include_usage", 1);
	char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return body;
}

/* Not freed while its request is under way. */
static struct flight *make_flight(struct serve_client *c, uint32_t i)
{
	struct http *h = c->link;
	struct flight *f = h->idle;

	if (f) {
		h->idle = f->next;
		evhttp_connection_free(f->connection);
		evbuffer_free(f->in);
	} else {
		f = malloc(sizeof(*f));
	}
	if (!f)
		return NULL;
	*f = (struct flight){ .c = c, .i = i, .in = evbuffer_new(), .connection = serve_openai_connect(c->s, h->base) };
	if (f->in && f->connection)
		return f;
	free_flight(f);
	return NULL;
}

static int http_send(struct serve_client *c, uint32_t i)
{
	struct flight *f = make_flight(c, i);
	char *body = f ? make_body(c->s, i) : NULL;
	struct evhttp_request *r = body ? evhttp_request_new(on_done, f) : NULL;

	if (r) {
		evhttp_request_set_chunked_cb(r, on_chunk);
		evhttp_request_set_error_cb(r, on_error);
	}
	if (!r || serve_openai_post(c->s, f->connection, r, body) < 0) {
		serve_end(c, i, -ECONNREFUSED, r ? "no connection to the server" : "no memory for a request");
		if (f)
			free_flight(f);
	}
	free(body);
	return 0;
}

static int http_wait(struct serve_client *c, double until_s)
{
	struct http *h = c->link;
	double s = fmin(fmax(until_s - now_s(), 0), WAIT_S);
	struct timeval tv = { .tv_sec = (time_t)s };

	tv.tv_usec = (suseconds_t)((s - (double)tv.tv_sec) * 1e6);
	evtimer_add(h->timer, &tv);
	event_base_loop(h->base, EVLOOP_ONCE);
	evtimer_del(h->timer);
	return 0;
}

const struct serve_carrier serve_http = { http_open, http_send, http_wait, http_close };
