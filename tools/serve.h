/*
 * `gyre bench serve`, the parts: serve_load.c draws the requests and their prompts, serve_clients.c runs them in processes of their
 * own, serve_ring.c and serve_http.c carry one to gyred or to an OpenAI server (which serve_openai.c asks what it takes), serve_figures.c adds up, serve_print.c prints.
 *
 * What the processes share is anonymous memory that the parent maps before it forks. The plan is written before that and only read
 * afterwards; the outcome of a request is written by the one client that took it, and read by the parent once that has ended.
 * serve_shared alone has several writers, and so atomics.
 */
#ifndef GYRE_TOOLS_SERVE_H
#define GYRE_TOOLS_SERVE_H

#include "tools/tool.h"

#define SERVE_WHY_BYTES  256u
#define SERVE_UID_FIRST  50000u                    /* a user's range that Debian leaves free of services */
#define SERVE_PROMPT_LEN "lognormal:125:1.25:1024" /* as of ShareGPT: on average 229 and 203 tokens */
#define SERVE_OUTPUT_LEN "lognormal:130:1:1024"

struct serve_request {
	uint32_t n_prompt, n_output; /* tokens wanted */
	uint32_t n_shared, group;    /* the first n_shared of the prompt are those of its group */
	double due_s;                /* after the start; 0: as soon as a client is free */
	size_t stamp0;               /* its tokens' times are stamp[stamp0], n_output of them at most */

	uint32_t client;
	uint32_t n_read, n_written, n_stamp; /* tokens by the server's account; completions or chunks with one */
	double sent_s, end_s;                /* now_s() of its client; end_s 0: it never ended */
	int res;                             /* 0, or a negative errno and the words */
	char why[SERVE_WHY_BYTES];
};

struct serve_shared {
	uint32_t next; /* the request that a free client takes, where none has a time */
	uint32_t n_flight, n_flight_most, n_done;
	double begin_s; /* written before the clients are let go */
};

struct serve_goals {
	double ttft_ms, tpot_ms, e2el_ms; /* 0: any */
	bool is_set;
};

struct serve {
	const struct args *args;
	uint32_t n_client, n_uid; /* n_uid 0: as the caller */
	uint32_t n_flight_max;    /* of all clients; 0: no bound */
	uint32_t n_request;
	struct serve_shared *shared;
	struct serve_request *request;
	double *stamp;
	struct serve_goals goals;
	uint32_t *id; /* the tokens that prompts are drawn from; NULL: words are sent */
	uint32_t n_id;
	const char *socket; /* of gyred */
	char model[128];    /* gyred's or the server's name for it, "": the first */
	char *host, *path;  /* of the server, path without /v1/completions */
	uint16_t port;      /* 0: there is none, but gyred */
	const struct serve_carrier *carrier;
};

/* One process of the load. */
struct serve_client {
	const struct serve *s;
	uint32_t index;
	uint32_t n_flight, n_flight_max;
	uint32_t next; /* the request that it sends next, once has_next; before that the last one */
	bool has_next;
	void *link; /* the carrier's own */
};

/* How requests travel. All but open run under load; `why` has SERVE_WHY_BYTES. */
struct serve_carrier {
	int (*open)(struct serve_client *c, char *why); /* 0, or -errno with words */
	/* 0: on its way, or already ended with words (serve_end). -EAGAIN: no room now. */
	int (*send)(struct serve_client *c, uint32_t i);
	/* Until something has come or until now_s() is until_s. -errno: nothing will come any more. */
	int (*wait)(struct serve_client *c, double until_s);
	void (*close)(struct serve_client *c);
};

extern const struct serve_carrier serve_ring, serve_http;

/* ---- serve_load.c ---- */

/* Draws s->n_request requests of --prompt-len, --output-len, --lengths, --request-rate and --shared-prefix. An exit code. */
int serve_load_plan(struct serve *s);
void serve_load_free(struct serve *s);
/* The text whose tokens prompts are made of: common words. */
const char *serve_load_words(void);
/* Of a vocabulary's ids for serve_load_words, those that s->id does not have yet are added. -ENOMEM. */
int serve_load_add(struct serve *s, const uint32_t *id, size_t n);
/* The prompt of request i: id[n_prompt]. */
void serve_load_ids(const struct serve *s, uint32_t i, uint32_t *id);
/* The same as text, a word for each token: the caller's. NULL: no memory. */
char *serve_load_text(const struct serve *s, uint32_t i);

/* ---- serve_clients.c ---- */

/* Runs the whole load. An exit code; an error was printed. */
int serve_clients_run(struct serve *s);
/* For carriers: a token or more of request i has just come; it has ended, res < 0 with these words. */
void serve_token(struct serve_client *c, uint32_t i);
void serve_end(struct serve_client *c, uint32_t i, int res, const char *why);

/* ---- serve_ring.c, serve_openai.c: before the clients ---- */

/* The ids of serve_load_words in the daemon's own vocabulary -> s->id. An exit code; an error was printed. */
int serve_ring_prepare(struct serve *s, struct link *l);
/* Is there a server at --openai, what does it call its model, and does it take ids of --model's vocabulary? An exit code. */
int serve_openai_prepare(struct serve *s);
void serve_openai_free(struct serve *s);

/* ---- serve_figures.c ---- */

enum serve_metric { SERVE_TTFT, SERVE_TPOT, SERVE_ITL, SERVE_E2EL, SERVE_METRICS };

/* Of no request: NAN. */
struct serve_summary {
	double mean, p50, p90, p99, max; /* milliseconds */
};

struct serve_figures {
	uint32_t n_ok, n_failed, n_good;
	uint64_t n_read, n_written;
	double seconds; /* from the start to the end of the last request of all */
	struct serve_summary of[SERVE_METRICS];
};

#define SERVE_ALL_UIDS UINT32_MAX

/* --goodput's list -> s->goals. An exit code; an error was printed. */
int serve_figures_goals(struct serve_goals *g, const char *text);
/* Of the requests of one uid (0 to n_uid - 1), or of all. -ENOMEM. */
int serve_figures_make(const struct serve *s, uint32_t uid, struct serve_figures *f);
/* Milliseconds of one request, NAN where it has none; not for SERVE_ITL. */
double serve_figures_of(const struct serve *s, const struct serve_request *r, enum serve_metric m);
/* Milliseconds between its tokens k and k + 1. */
double serve_figures_gap(const struct serve *s, const struct serve_request *r, uint32_t k);

/* ---- serve_print.c ---- */

/* An exit code. */
int serve_print(const struct serve *s);

#endif
