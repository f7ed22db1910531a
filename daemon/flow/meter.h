/*
 * What is counted of an engine's requests, in words of time and number: for metrics, which add up and never fall. An engine has one. Its
 * leader writes, at moments whose time is known anyway; anybody reads (util/counter.h). What a client has been told is counted
 * before it can see it, so figures read after an answer hold the answer.
 */
#ifndef GYRE_DAEMON_FLOW_METER_H
#define GYRE_DAEMON_FLOW_METER_H

#include "daemon/flow/event.h"
#include "daemon/flow/request.h"

/* Distributions. Times count requests or tokens that are drawn, unless it says more. */
enum meter_figure {
	METER_FIRST_TOKEN, /* from when its entry was taken */
	METER_INTER_TOKEN, /* of each token but a request's first, from the one before it; 0: of the same step */
	METER_DECODE_GAP,  /* between two steps that a stream had tokens of */
	METER_WHOLE,       /* of each request, from when its entry was taken to its end */
	METER_QUEUE,       /* of these, up to its first rows, or the end */
	METER_PREFILL,     /* from there to its first token */
	METER_DECODE,      /* from there to its last */
	METER_STEP,        /* a step with rows, up to its tokens */
	METER_PROMPT_TOKENS,
	METER_GENERATED_TOKENS,
	METER_FIGURE_MAX
};

/* How requests end: of those that an engine runs. */
enum meter_reason {
	METER_STOP,     /* an end token or a stop string */
	METER_LENGTH,   /* max_tokens, or the end of the context */
	METER_COMPLETE, /* all that was to be scored, or to be turned into ids */
	METER_ABORT,    /* cancelled, or its client has gone */
	METER_DEADLINE, /* passed */
	METER_ERROR,
	METER_REASON_MAX
};

enum meter_cancelled { METER_BY_CLIENT, METER_CLIENT_GONE, METER_CANCELLED_MAX };

/* Why no request was made of an entry. */
enum meter_refusal {
	METER_MALFORMED,
	METER_TOO_LONG,
	METER_BUSY,
	METER_QUOTA,
	METER_SHUTDOWN,
	METER_UNKNOWN, /* an operation that there is none of */
	METER_OTHER,
	METER_REFUSAL_MAX
};

#define METER_BOUND_MAX 28u

/* The bounds that a figure is sorted by, ascending, in ns or tokens. */
struct meter_scale {
	const uint64_t *bound; /* [n] */
	uint32_t n;
	bool is_time;
};

struct meter_histogram {
	uint64_t n[METER_BOUND_MAX +
		   1]; /* counters: no larger than the bound, and than none before; the last: than no bound */
	uint64_t sum;  /* counter */
};

struct meter {
	_Alignas(64) uint64_t n_prompt;   /* counters, as all below: tokens of prompts, once read */
	uint64_t n_end[METER_REASON_MAX]; /* requests by how they ended */
	uint64_t n_generated;             /* tokens that clients were given */
	uint64_t n_cancelled[METER_CANCELLED_MAX];
	struct meter_histogram figure[METER_FIGURE_MAX];
	struct event_ring events;
};

/* The leader. r has a result, of a step whose time is now_ns. is_token: its client gets it as a token; an end token is none. */
void meter_result(struct meter *m, struct request *r, bool is_token, uint64_t now_ns);
/* Its last completion is written, or, is_gone, there is nobody to write it for. */
void meter_end(struct meter *m, const struct request *r, bool is_gone, uint64_t now_ns);
/* A step with rows took ns. */
void meter_step(struct meter *m, uint64_t ns);

const char *meter_reason_name(enum meter_reason reason);
enum meter_refusal meter_refusal_of(int res);
const char *meter_refusal_name(enum meter_refusal refusal);
const struct meter_scale *meter_scale_of(enum meter_figure figure);

#endif
