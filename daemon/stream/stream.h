/*
 * What operations write completions with. A stream is the completions of a request: one a token, with its bytes, and more where they
 * do not fit one; bytes in which a stop string may begin (or, on request, an unfinished character) are held back and come with a later
 * one (hold.h). The last says how the request ended. intake has granted the space beforehand, so a completion that is due always
 * fits. A leader, with the session's lock held; nothing allocates.
 */
#ifndef GYRE_DAEMON_STREAM_STREAM_H
#define GYRE_DAEMON_STREAM_STREAM_H

#include "daemon/flow/batch.h"
#include "daemon/text/text.h"

/* Completions that a token's bytes take at most, at least 2: geometry.n_piece of this vocabulary. */
uint32_t stream_pieces(const struct vocab *v);

/* A token and its bytes. They are hidden if it is a control token that is not to be shown: then only stop strings see them. What is
 * drawn may meet a stop string in them: r->hit_stop. */
void stream_token(struct request *r, const struct batch_token *t, uint64_t time_ns, struct text_span text,
		  bool is_hidden);
/* A token of the prompt, at pos, with its own bytes: they may end inside a character, whatever the flags say. */
void stream_echo(struct request *r, const struct batch_token *t, uint64_t time_ns, uint32_t pos, struct text_span text);
/* The last completion of r, which has ended, with what was held back before it. n_token: how many tokens the client has been given. */
void stream_end(struct request *r, uint32_t n_token);

/* All that r, which has ended, is asked is an answer (flow/op.h). */
void stream_answer(struct request *r);

/* For a stream of another kind: the next completion of those granted, and the end of all. NULL: none is left. */
struct gyre_cqe *stream_complete(struct request *r, uint8_t **result);
/* Before the last completion can be seen: the client may have another request in its place, or go on from this one, if it is kept. */
void stream_let_go(struct request *r);

#endif
