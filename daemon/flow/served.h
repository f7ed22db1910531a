/*
 * What a session is served: one model, as the stages before and behind its engines know it. A session points to the one that it was
 * welcomed to, and everything that depends on the model is asked of it. A daemon has a table of them (daemon/engine/registry.h), whose
 * places never move: what has been unloaded leaves name and geometry behind, so that sessions outlive the sleep of their model.
 *
 * The control thread starts what changes `state`, the loader thread does it. Whoever has the watch looks at the state before it makes a
 * request; what lies behind it is there as long as it says so (daemon/intake/handover.h has the hand-shake).
 */
#ifndef GYRE_DAEMON_FLOW_SERVED_H
#define GYRE_DAEMON_FLOW_SERVED_H

#include "daemon/flow/request_pool.h"

struct vocab;
struct chat;
struct weights;
struct engine;
struct helper;

#define SERVED_MAX       8u   /* models of a daemon */
#define SERVED_TITLE_MAX 128u /* as many bytes as a welcome has room for */

/* What a request has to fit. */
struct geometry {
	uint32_t n_vocab, n_ctx;
	uint32_t text_max;    /* bytes of one prompt */
	uint32_t arena_bytes; /* of a session that asks for none, or of the session in question */
	uint32_t n_piece;     /* completions that a token's bytes take at most */
	uint32_t n_kv;        /* positions in the pool of one engine, the smallest; 0: not known */
	uint32_t n_held;      /* of these one request needs no more, however long it is; 0: as many as it has */
	uint32_t block_len;   /* positions of a block there */
	uint32_t n_slot;      /* sequences that can have a state at once; 0: there is none */
	uint32_t n_state;     /* positions that a sequence's state counts as beside its own; 0: it has none */
	uint64_t kv_bytes;    /* of a position there */
};

enum served_state {
	SERVED_NONE,    /* a free place in the table */
	SERVED_LOADING, /* entries wait for it */
	SERVED_READY,
	SERVED_LEAVING, /* no entry is taken any more; back to READY if a request still runs */
	SERVED_ASLEEP,  /* its memory has been given back, until an entry wants it */
	SERVED_OFF,     /* the same until somebody loads it: entries are refused */
	SERVED_FAILED,  /* it could not be loaded: `why`, which entries are refused with */
	SERVED_STATE_MAX
};

struct served {
	uint32_t state;     /* atomic: enum served_state */
	uint32_t is_wanted; /* atomic: an entry waits for it while it sleeps, or has failed */
	uint32_t index;     /* in the table */
	/* Raised when it comes back with another geometry: sessions of the old one are refused. */
	uint32_t generation;
	uint64_t n_request;           /* counter: requests that have been made; the watch's */
	char name[GYRE_NAME_MAX];     /* what clients ask for */
	char title[SERVED_TITLE_MAX]; /* what its file calls it */
	struct words why;             /* of FAILED */
	struct geometry geometry;     /* n_ctx 0: it has never been loaded */
	bool shares_prefixes;         /* between users, in the prefix caches of its engines */
	uint32_t n_draft;             /* guesses of a stream in a step at most */
	int32_t bos, eos;             /* -1: none */
	uint32_t n_embd;              /* numbers of a vector */
	uint32_t pooling;             /* enum gyre_pooling: of an EMBED that asks for none */
	bool has_chat;                /* there is a template; else chats are refused */

	/* From here on: there while it is READY or LEAVING, but for n_engine, queue and engine, which stay. */
	struct vocab *vocab;
	struct chat *chat;                         /* NULL: no template */
	struct helper *helper;                     /* reads its long texts */
	struct request_pool pool;                  /* all requests it will ever hold at once */
	struct weights *weights[QUEUE_ENGINE_MAX]; /* of each engine; engines whose memory is the same share one */

	uint32_t n_engine;
	struct queue *queue[QUEUE_ENGINE_MAX]; /* [n_engine] of each engine */
	struct engine *engine;                 /* [n_engine] */
};

const char *served_state_name(enum served_state state); /* "loading" */
/* What it has to serve with is there. Whoever has the watch; what follows is ordered after it. */
bool served_is_open(const struct served *s);
/* The control thread, which alone has it leave: the same, until it next does something. */
bool served_is_ready(const struct served *s);

/* Any thread: leaders of its engines that sleep in their queues look around. NULL: there are none. */
void served_ring(const struct served *s);

/* Positions that a user may pin whose quota does not say. */
uint32_t served_pin_default(const struct geometry *g);

/* n_piece 0: of an ordinary vocabulary. */
struct geometry served_geometry(uint32_t n_vocab, uint32_t n_ctx, uint32_t n_piece);

#endif
