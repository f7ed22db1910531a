/* What serve_http.c and serve_openai.c share: a connection to the server of --openai, and its words. */
#ifndef GYRE_TOOLS_SERVE_OPENAI_H
#define GYRE_TOOLS_SERVE_OPENAI_H

#include <stddef.h>

#define SERVE_OPENAI_PATIENCE "600" /* seconds without a byte from the server */

struct serve;
struct event_base;
struct evhttp_connection;
struct evhttp_request;

/* NULL: no memory, or no such host. */
struct evhttp_connection *serve_openai_connect(const struct serve *s, struct event_base *base);
/* POST of JSON to /v1/completions. -1: r has been freed, and nothing is called. */
int serve_openai_post(const struct serve *s, struct evhttp_connection *c, struct evhttp_request *r, const char *body);
/* A server's refusal -> one line of words: its JSON's message, else its bytes. why has SERVE_WHY_BYTES. */
void serve_openai_words(char *why, const char *body, size_t n);

#endif
