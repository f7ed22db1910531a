/*
 * What sequences have begun with: a trie of pieces of PREFIX_LEN tokens, each with the block that holds their keys and values, if the model
 * has any, and with a copy of the states behind them, if somebody left one. A piece that ends a sequence may be shorter. A piece is found
 * by a hash of all tokens up to its end and compared with the tokens, which it keeps. Sequences of users that do not share (salt) have no
 * piece in common: what one has left there, no other can find.
 *
 * The trie holds its blocks for nobody (KV_NOBODY). A block that no user holds is idle, and given up when memory is short, the one that
 * has been idle longest first. Holders put their blocks from the end, and whoever holds one holds those before it, so a piece is idle before
 * the pieces in front of it are: leaves go first. Where windows let the first blocks go, pieces without a block stay as long as others stand
 * behind them. States are given up in order of use.
 *
 * The leader thread alone calls this. Indices, no pointers, in four arrays made by prefix_init; nothing else is allocated. Each call takes
 * O(1): chains of a hash are followed for PREFIX_CHAIN steps at most.
 */
#ifndef GYRE_DAEMON_KV_PREFIX_H
#define GYRE_DAEMON_KV_PREFIX_H

#include "daemon/kv/kv.h"
#include "daemon/util/hashchain.h"

#define PREFIX_LEN   HASHCHAIN_LEN /* of a piece, and of a block where there are any */
#define PREFIX_NONE  UINT32_MAX    /* no piece, no block, no slot; in front of a sequence's first piece */
#define PREFIX_RUN   4u /* tokens in common that a copy of a block is worth: below that it costs what it saves */
#define PREFIX_CHAIN 16u

struct prefix_node {
	uint64_t hash, salt;
	uint32_t parent, n_child;
	uint32_t generation; /* raised when the piece is gone: whoever remembers its index looks */
	uint32_t next, near_next;
	uint32_t block, slot;
	uint32_t older, younger;           /* of idle blocks */
	uint32_t slot_older, slot_younger; /* of states */
	uint32_t n_token;                  /* 0: free */
	uint32_t n_replay;                 /* of its state: struct batch_seq */
	bool is_idle;
};

/* A list by last use; PREFIX_NONE: it is empty. */
struct prefix_list {
	uint32_t oldest, youngest;
};

struct prefix {
	struct kv *kv;
	struct prefix_node *node;                        /* [n_node] */
	int32_t *token;                                  /* [n_node][PREFIX_LEN] */
	uint32_t *of_block;                              /* [n_block] its piece, or PREFIX_NONE */
	uint32_t *head;                                  /* [2][n_bucket] by hash; by the first tokens */
	uint64_t *seen;                                  /* [n_seen] hashes, for others to look at: of whole pieces */
	uint32_t n_node, n_bucket, n_seen, free, n_used; /* n_used: pieces */
	uint32_t n_block, n_idle, n_slot;                /* counters: what the trie holds; blocks that no user does */
	uint64_t n_evicted;                              /* counter: blocks and states that were given up */
	struct prefix_list idle, state;
};

/* n_node pieces; a pool with slots and blocks that are no pieces has none in them. seen[n_seen], n_seen a power of two, may be NULL. */
int prefix_init(struct prefix *p, struct kv *kv, uint32_t n_node, uint64_t *seen, uint32_t n_seen);
/* A zero-filled struct does nothing. What it holds is not put: the pool goes with it. */
void prefix_deinit(struct prefix *p);

/* The whole piece token[PREFIX_LEN] behind `parent`. PREFIX_NONE: there is none. */
uint32_t prefix_find(const struct prefix *p, uint32_t parent, uint64_t salt, const int32_t *token);
/*
 * Of the pieces behind `parent` the one with the longest run of tokens in common with token[n], and that run. want_state: of those that
 * have a state and are token[n]'s beginning whole. PREFIX_NONE: none has PREFIX_RUN tokens in common, or all that it has.
 */
uint32_t prefix_find_near(const struct prefix *p, uint32_t parent, uint64_t salt, const int32_t *token, uint32_t n,
			  bool want_state, uint32_t *n_run);
/* The piece token[n] behind `parent`, made if there is none. PREFIX_NONE: there is no room for it. */
uint32_t prefix_add(struct prefix *p, uint32_t parent, uint64_t salt, const int32_t *token, uint32_t n);
/* It is gone if nothing is in it, nor behind it; likewise those in front of it. */
void prefix_trim(struct prefix *p, uint32_t i);

/* A piece without a block holds this one. */
void prefix_set_block(struct prefix *p, uint32_t i, uint32_t block);
/* It does not any more; the block stays its users'. */
void prefix_drop_block(struct prefix *p, uint32_t i);
/* A user has taken hold of a block, or put one: is it idle? */
void prefix_note_block(struct prefix *p, uint32_t block);
/* A piece without a state has this slot's; who held the slot does not any more. */
void prefix_set_slot(struct prefix *p, uint32_t i, uint32_t slot, uint32_t n_replay);
/* Likewise a copy of a slot, if one can be had; a piece with a state keeps that, as the last used. */
void prefix_copy_slot(struct prefix *p, uint32_t i, uint32_t slot, uint32_t n_replay);
/* Its slot is the caller's. */
uint32_t prefix_take_slot(struct prefix *p, uint32_t i);
void prefix_use_slot(struct prefix *p, uint32_t i);

/* Gives up what has been idle longest. false: there is nothing. */
bool prefix_evict_block(struct prefix *p);
bool prefix_evict_slot(struct prefix *p);

/* Walks everything. 0, or -EUCLEAN. */
int prefix_check(const struct prefix *p);

/* Piece i, if it is the one that was there in that generation. */
static inline bool prefix_is(const struct prefix *p, uint32_t i, uint32_t generation)
{
	return i != PREFIX_NONE && p->node[i].n_token && p->node[i].generation == generation;
}

#endif
