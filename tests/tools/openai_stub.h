/* An OpenAI server of a few lines, of which /v1/models and a streamed /v1/completions are there. A thread a connection. */
#ifndef GYRE_TESTS_TOOLS_OPENAI_STUB_H
#define GYRE_TESTS_TOOLS_OPENAI_STUB_H

#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What it does with a request is told by its max_tokens. */
enum {
	STUB_REFUSES = 7,
	STUB_FAILS_HALFWAY = 8,
	STUB_HANGS_UP = 9,
	STUB_ENDS_WITHOUT_DONE = 11,
	STUB_SAYS_NO_USAGE = 12
};
#define STUB_PROMPTS 64

static struct {
	struct MHD_Daemon *http;
	char url[64];
	bool takes_text_only;
	uint32_t n_now, n_most, n_prompt; /* of streams */
	uint32_t n_wanted;                /* none goes on before there have been so many at once */
	json_t *prompt[STUB_PROMPTS];
} stub;

/* One request: what came of its body, then what goes out. */
struct stub_call {
	char *body;
	size_t n_body;
	uint32_t n_token, at; /* events sent */
	size_t n_left;        /* of the event that is being sent */
	char event[256];
};

static inline void stub_count_end(void)
{
	__atomic_fetch_sub(&stub.n_now, 1, __ATOMIC_SEQ_CST);
}

/* The next event, "" for the end. As llama.cpp has it: a chunk a token, an empty one with the reason, usage, [DONE]. */
static inline void stub_make_event(struct stub_call *c)
{
	uint32_t at = c->at++;

	*c->event = 0;
	if (at < c->n_token)
		strcpy(c->event, "data: {\"choices\":[{\"text\":\" a\",\"index\":0,\"finish_reason\":null}]}\n\n");
	else if (at == c->n_token)
		strcpy(c->event, "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\r\n\r\n");
	else if (at == c->n_token + 1 && c->n_token != STUB_SAYS_NO_USAGE)
		snprintf(c->event, sizeof(c->event),
			 "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":%u}}\n\n",
			 c->n_token);
	else if (at <= c->n_token + 2 && c->n_token != STUB_ENDS_WITHOUT_DONE)
		strcpy(c->event, at <= c->n_token + 1 ? ": a comment\n\n" : "data: [DONE]\n\n");
	if (c->n_token == STUB_FAILS_HALFWAY && at == 3)
		strcpy(c->event, "data: {\"error\":{\"message\":\"the slot is\\nlost\"}}\n\n");
}

/* Ten seconds at most, for a client that never sends as many. */
static inline void stub_wait_wanted(void)
{
	for (int i = 0; i < 10000 && __atomic_load_n(&stub.n_most, __ATOMIC_SEQ_CST) < stub.n_wanted; i++)
		usleep(1000);
}

static inline ssize_t stub_read(void *arg, uint64_t at, char *to, size_t max)
{
	struct stub_call *c = arg;
	size_t n;

	(void)at;
	if (!c->n_left) {
		usleep(500);
		stub_wait_wanted();
		stub_make_event(c);
		c->n_left = strlen(c->event);
	}
	if (c->n_token == STUB_HANGS_UP && c->at == 4) {
		stub_count_end();
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (!c->n_left) {
		stub_count_end(); /* before the client can know */
		return MHD_CONTENT_READER_END_OF_STREAM;
	}
	n = c->n_left < max ? c->n_left : max;
	n = n > 20 && n == c->n_left ? 20 : n; /* events arrive in pieces */
	memcpy(to, c->event + strlen(c->event) - c->n_left, n);
	c->n_left -= n;
	return (ssize_t)n;
}

static inline enum MHD_Result stub_answer(struct MHD_Connection *m, unsigned status, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result done = MHD_queue_response(m, status, r);

	MHD_destroy_response(r);
	return done;
}

static inline enum MHD_Result stub_complete(struct MHD_Connection *m, struct stub_call *c)
{
	json_t *j = json_loadb(c->body, c->n_body, 0, NULL), *prompt = json_object_get(j, "prompt");
	struct MHD_Response *r;
	enum MHD_Result done;
	uint32_t n, most;

	c->n_token = (uint32_t)json_integer_value(json_object_get(j, "max_tokens"));
	if (!json_is_true(json_object_get(j, "stream"))) {
		bool is_refused = stub.takes_text_only && !json_is_string(prompt);

		json_decref(j);
		return is_refused ? stub_answer(m, 400, "{\"error\":{\"message\":\"prompt must be a string\"}}")
				  : stub_answer(m, 200, "{\"choices\":[{\"text\":\" a\"}]}");
	}
	n = __atomic_fetch_add(&stub.n_prompt, 1, __ATOMIC_SEQ_CST);
	if (n < STUB_PROMPTS)
		stub.prompt[n] = json_incref(prompt);
	json_decref(j);
	if (c->n_token == STUB_REFUSES)
		return stub_answer(m, 503, "{\"error\":{\"message\":\"no slot is free\",\"code\":503}}");
	n = __atomic_add_fetch(&stub.n_now, 1, __ATOMIC_SEQ_CST);
	most = __atomic_load_n(&stub.n_most, __ATOMIC_SEQ_CST);
	while (n > most &&
	       !__atomic_compare_exchange_n(&stub.n_most, &most, n, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 128, stub_read, c, NULL);
	MHD_add_response_header(r, "Content-Type", "text/event-stream");
	done = MHD_queue_response(m, 200, r);
	MHD_destroy_response(r);
	return done;
}

static inline enum MHD_Result stub_on_request(void *arg, struct MHD_Connection *m, const char *url, const char *method,
					      const char *version, const char *data, size_t *n, void **call)
{
	struct stub_call *c = *call;

	(void)arg, (void)version;
	if (!c) {
		*call = calloc(1, sizeof(*c));
		return *call ? MHD_YES : MHD_NO;
	}
	if (*n) {
		c->body = realloc(c->body, c->n_body + *n);
		memcpy(c->body + c->n_body, data, *n);
		c->n_body += *n;
		*n = 0;
		return MHD_YES;
	}
	if (!strcmp(url, "/v1/models"))
		return stub_answer(m, 200, "{\"data\":[{\"id\":\"stubby\"}]}");
	if (!strcmp(url, "/v1/completions") && !strcmp(method, "POST"))
		return stub_complete(m, c);
	return stub_answer(m, 404, "<html>nothing here</html>");
}

static inline void stub_on_end(void *arg, struct MHD_Connection *m, void **call, enum MHD_RequestTerminationCode why)
{
	struct stub_call *c = *call;

	(void)arg, (void)m, (void)why;
	if (c)
		free(c->body);
	free(c);
	*call = NULL;
}

static inline void stub_forget(void)
{
	for (uint32_t i = 0; i < STUB_PROMPTS; i++) {
		json_decref(stub.prompt[i]);
		stub.prompt[i] = NULL;
	}
	stub.n_prompt = stub.n_most = stub.n_wanted = 0;
	stub.takes_text_only = false;
}

static inline int stub_open(void)
{
	const struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const union MHD_DaemonInfo *info;

	stub.http = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL,
				     stub_on_request, NULL, MHD_OPTION_SOCK_ADDR, &here, MHD_OPTION_NOTIFY_COMPLETED,
				     stub_on_end, NULL, MHD_OPTION_END);
	info = stub.http ? MHD_get_daemon_info(stub.http, MHD_DAEMON_INFO_BIND_PORT) : NULL;
	if (!info)
		return -1;
	snprintf(stub.url, sizeof(stub.url), "http://127.0.0.1:%u", info->port);
	setenv("URL", stub.url, 1);
	return 0;
}

static inline void stub_close(void)
{
	MHD_stop_daemon(stub.http);
	stub_forget();
}

#endif
