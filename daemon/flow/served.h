/*
 * What a session is served: one model, as the stages before and behind its engines know it. A session points to the one that it was
 * welcomed to, and everything that depends on the model is asked of it, so that a daemon of several has several of these. Made by
 * daemon/engine/served.c before the first session, and not changed any more.
 */
#ifndef GYRE_DAEMON_FLOW_SERVED_H
#define GYRE_DAEMON_FLOW_SERVED_H

#include "daemon/flow/queue.h"

struct vocab;
struct chat;
struct weights;
struct engine;

#define SERVED_NAME_MAX 128u /* as many bytes as a welcome has room for */

/* What a request has to fit. */
struct geometry {
	uint32_t n_vocab, n_ctx;
	uint32_t text_max;    /* bytes of one prompt */
	uint32_t arena_bytes; /* of a session that asks for none, or of the session in question */
	uint32_t n_piece;     /* completions that a token's bytes take at most */
	uint32_t n_kv;        /* positions in the pool of one engine, the smallest; 0: not known */
	uint32_t n_held;      /* of these one request needs no more, however long it is; 0: as many as it has */
	uint64_t kv_bytes;    /* of a position there */
};

struct served {
	char name[SERVED_NAME_MAX];
	struct geometry geometry;
	struct vocab *vocab;
	struct chat *chat; /* NULL: there is no template, and chats are refused */

	uint32_t n_engine;
	struct queue *queue[QUEUE_ENGINE_MAX];     /* [n_engine] of each engine */
	struct engine *engine;                     /* [n_engine] */
	struct weights *weights[QUEUE_ENGINE_MAX]; /* of each engine; engines whose memory is the same share one */
};

/* n_piece 0: of an ordinary vocabulary. */
struct geometry served_geometry(uint32_t n_vocab, uint32_t n_ctx, uint32_t n_piece);

#endif
