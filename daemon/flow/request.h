/*
 * A request: one entry with a prompt from its SQE to its last CQE. Requests live in a pool made at start; nothing on the
 * step path allocates. Owner: intake until its tokens are there, from then on the leader of the engine it has been routed to.
 * How it ends is settled once, by that leader or by a CANCEL that comes before: `outcome` is the one word both write.
 */
#ifndef GYRE_DAEMON_FLOW_REQUEST_H
#define GYRE_DAEMON_FLOW_REQUEST_H

#include "daemon/flow/op.h"
#include "daemon/flow/user.h"
#include "daemon/flow/words.h"

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_DRAFT_MAX 16u /* guesses behind its tokens: --draft */

enum request_state {
	REQUEST_FREE,
	REQUEST_TEXT,    /* a helper thread tokenizes its prompt; in no engine's queue yet */
	REQUEST_LINKED,  /* has tokens, and waits until the entry before it in its chain has ended */
	REQUEST_FORK,    /* has its own tokens, and waits for those of the request that it goes on from */
	REQUEST_WAITING, /* has tokens, no KV blocks yet (new, or preempted) */
	REQUEST_RUNNING, /* scheduled, holds KV blocks, and a slot if the model has states */
	REQUEST_ENDED,   /* `res` is final; emit owes it its last CQE */
	REQUEST_KEPT,    /* nothing is owed, but others may go on from it: KEEP */
	REQUEST_DONE,    /* nothing is owed; sched takes its blocks back, intake returns it to the pool */
};

/* Of the pool: one that its session keeps for it, or one of those that all share. */
enum request_place { REQUEST_NOWHERE, REQUEST_OWN_PLACE, REQUEST_SHARED_PLACE };

/* What waits for it is told once its last completion has been written. */
enum request_told { REQUEST_UNTOLD, REQUEST_TOLD_WELL, REQUEST_TOLD_FAILED };

enum request_outcome { REQUEST_OPEN, REQUEST_CANCELLED, REQUEST_SETTLED };

/* Checked copy of struct gyre_options and its tails. */
struct sampling {
	float temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
	uint32_t top_k, n_top, penalty_last_n, draft; /* draft: enum gyre_draft */
	uint64_t seed;
	uint32_t pooling; /* EMBED: enum gyre_pooling, GYRE_POOLING_RAW */
	uint32_t n_bias, n_stop;
	uint8_t stop_len[GYRE_STOP_MAX];
	/* From here on only the first n are filled: to clear and copy 3 KB that lie in no cache would take 2 us. */
	struct gyre_bias bias[GYRE_BIAS_MAX];
	uint8_t stop[GYRE_STOP_MAX][GYRE_STOP_BYTES_MAX];
};

/* A stream's text that has not gone out (daemon/stream/hold.h): a stop string may begin in it, or a character is incomplete. */
struct hold {
	uint32_t n, n_tail;
	/* From here on only the first n are filled. */
	uint8_t byte[GYRE_RESULT_TEXT_BYTES];
	uint8_t tail
		[GYRE_STOP_BYTES_MAX]; /* the end of the whole stream, control tokens too, that may begin a stop string */
	bool is_hidden[GYRE_STOP_BYTES_MAX];
};

/*
 * What of a request has to outlive the process for it to go on: no pointer is in it. Its tokens and blocks lie in arrays of the pool at
 * its index, its completions in the session's rings.
 */
struct request_kept {
	uint8_t opcode, priority; /* of its entry: the number of `op` */
	uint16_t flags;           /* GYRE_SQE_* */
	uint32_t max_tokens;
	uint64_t user_data, target, deadline_ns;
	uint64_t keep_end_ns; /* of one that is kept; past it nobody has a right to it */
	uint32_t keep_ms;
	uint32_t split; /* FORK: tokens of the source, 0 or GYRE_FORK_PROMPT */
	enum request_state state;

	/* The sequence: tokens[0, n_prompt) came in, tokens[n_prompt, n_token) were generated. */
	uint32_t n_prompt, n_token;
	uint32_t n_score;  /* of the prompt, the last ones, which are to be scored */
	uint32_t n_past;   /* positions whose K and V are in the pool */
	uint32_t n_cached; /* of the prompt: not read, because they were there */
	uint32_t n_block;  /* KV blocks, in order of position */
	uint32_t n_gone;   /* of these, the first ones that it has given back: no layer sees so far */
	/* Where its states lie, if it has a slot: behind position n_past - n_replay - 1. What they were moved on by for the last n_replay, which
	 * were guesses, is there. */
	uint32_t slot, n_replay;
	bool has_slot;

	uint32_t n_emitted; /* tokens whose completion has been written */
	uint32_t n_scored;  /* of the tokens that came in, those whose probability has been told: SCORE's, or ECHO's */
	uint32_t n_pooled;  /* EMBED: positions whose vectors are in `vector` */
	uint32_t n_cut;     /* DETOKENIZE: bytes of the next token that an earlier completion had room for; */
	bool has_text;      /* a token before it had text */
	float sum_logprob;
	bool hit_stop;
	int32_t res;     /* when ENDED: 0 or -errno */
	int32_t why_res; /* what `why` explains; 0: nothing */

	struct hold hold; /* stream's; its bytes and what follows are not cleared for a new request, unlike all above */
	struct words why;
	struct sampling sampling; /* intake fills it */
};

struct queue;
struct served;

struct request {
	struct request *next;            /* in a list: of the free ones, an inbox, those that are done */
	struct request *older, *younger; /* of the same session, under its lock */
	struct session *session;         /* there until the request is back in the pool, even if the client has gone */
	const struct op *op;
	struct user *user; /* whose share it is served from */
	uint32_t index;    /* in the pool */
	uint32_t outcome;  /* atomic: enum request_outcome */
	uint32_t load;     /* what its queue counts for it */
	uint32_t weight;   /* parts of the time that its user has, where others have theirs; 0: one */
	bool is_above;     /* it goes before other users' requests */
	bool has_claim;    /* sched: its positions are counted as its user's */
	uint8_t place;     /* enum request_place */
	/* Positions that it may come to hold, and of how many in all its user's requests may; 0: of any number. */
	uint32_t n_claim, n_claim_max;
	/* Positions that it pins once it is kept, from when they are known; of how many all its user's may. */
	uint32_t n_pin, n_pin_max;
	uint32_t grant;  /* completions that its CQ keeps room for, in this step; 0: paused */
	uint32_t n_room; /* tokens that these are enough for */
	/* Numbers of its engine's: when it came in, and when it last went to the back of its user's line. */
	uint64_t arrival, ticket;
	uint32_t n_turn; /* sched: rows of its prompt since then */
	uint32_t seat;   /* sched: where it is in the batch, if it is */
	/* sched: where it stands in the prefix cache, piece and number of pieces, and with how many positions it was last there; where it is to
	 * leave its state; positions that it has come to at most. */
	uint32_t piece, n_piece, piece_generation, n_noted, mark[2], n_seen;
	bool has_asked;  /* sched: the cache, before */
	uint32_t stream; /* spec: which of its streams it is, if that says so too */

	/* For those who watch (meter.h): its number among the daemon's, and its session's. When its entry was taken; its first rows planned;
	 * its first and its last result there. 0: not yet. */
	uint64_t number, came_ns, started_ns, first_ns, last_ns;
	uint32_t n_session;
	const struct served *served;

	struct queue *queue; /* that it has been routed to; NULL: not yet */
	bool is_live;        /* its leader's: it has come there */
	/* Until it begins: the one before it in its chain, in any queue; of a FORK what it goes on from, in the same one. Both stay in the pool
	 * meanwhile. NULL: none. */
	struct request *before, *source;
	uint32_t n_waiter; /* atomic: how many wait for this one; UINT32_MAX: it is on its way back to the pool */
	uint32_t told;     /* atomic: enum request_told */

	int32_t *token;  /* [n_ctx] */
	uint32_t *block; /* [n_ctx / KV_BLOCK] in order of position; owned by sched through kv/ */
	double *vector;  /* [n_embd] EMBED: a sum, then what goes out; not cleared before */

	struct request_kept kept;
};

/* Its owner: the request has ended, with res; or with -ECANCELED, if a CANCEL has been told so before. */
void request_end(struct request *r, int res);
/* Any thread that knows it to be a request. true: it will end with -ECANCELED. false: that is settled already. */
bool request_cancel(struct request *r);
bool request_is_cancelled(const struct request *r);
/*
 * Its last completion has been written, under its session's lock: is it kept? Then its tokens are those that its client knows of, and a
 * CANCEL may still find it. now_ns is not looked at otherwise.
 */
bool request_keep(struct request *r, uint64_t now_ns);
/* Its leader: it is done, and kept no longer; no CANCEL finds it any more. */
void request_let_go(struct request *r);
/*
 * *waits_for is r from now on, which stays where it is until it is let go of. r is one of its session's, which is locked, or nobody knows it
 * yet. false: it is on its way back to the pool.
 */
bool request_await(struct request **waits_for, struct request *r);
/* NULL does nothing. */
void request_await_no_more(struct request **waits_for);
/* Its leader: it is done. true: nobody waits for it, and from now on nobody does; what others have read of it is behind them. */
bool request_leave(struct request *r);
/* Nobody's any more: what its client wrote and was told is wiped. n_ctx: positions there are tokens for. */
void request_wipe(struct request *r, uint32_t n_ctx);
/*
 * Its owner, before it ends with res: the reason in words (words.h), which the last completion carries. Returns res.
 */
int request_explain(struct request *r, int res, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static inline bool request_is_fork(const struct request *r)
{
	return r->kept.flags & GYRE_SQE_FORK;
}
/* Nobody is given its blocks and its slot. */
static inline bool request_is_pinned(const struct request *r)
{
	return r->kept.state == REQUEST_KEPT && (r->kept.flags & GYRE_SQE_PIN);
}
/* Is what follows the token at a position drawn? Else it is compared with the token that is there: of its prompt, or of any where nothing
 * is drawn. */
static inline bool request_draws_at(const struct request *r, uint32_t pos)
{
	return r->op->is_drawn && pos + 1 >= r->kept.n_prompt;
}

/* How many rows it still takes; of its prompt alone. Its owner. */
uint32_t request_prompt_rows(const struct request *r);
uint32_t request_rows(const struct request *r);
/* Rows that its tokens give now: those that have no keys and values yet, if something is asked of their predictions or of what follows. */
uint32_t request_rows_left(const struct request *r);

#endif
