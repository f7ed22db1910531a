/*
 * Work of a node shared out among its workers between two barriers: each takes its own range (team_range) piece by piece, front
 * to back, and then pieces of the others', so that a core which is slowed down holds nobody up. A piece's result must not depend
 * on its worker. Pieces never leave their node, whose memory holds the data that they read. On a quiet machine every worker
 * streams its own contiguous range and finds nothing left elsewhere.
 *
 * A slot is one worker's, on a cache line of its own. Between two barriers there is at most one share-out, and all workers
 * make the same ones in the same order.
 */
#ifndef GYRE_DAEMON_TEAM_SHARE_H
#define GYRE_DAEMON_TEAM_SHARE_H

#include "daemon/team/team.h"

#include <stdbool.h>
#include <stdint.h>

#define SHARE_PIECE_MAX 64u

struct share_slot {
	uint64_t taken __attribute__((aligned(64))); /* run | share-out of the run | pieces taken, by anybody */
	uint32_t run, n_share;                       /* the worker's own */
};

struct share {
	struct share_slot *slot;      /* of the node's workers */
	int n_worker, worker, n_seen; /* within the node */
	uint64_t tag;
	size_t n_items, n_piece;
};

/* Each worker calls this for itself before its first share-out of a run. `run` is the same for all workers of a run and differs from
 * that of the run before. */
void share_run(struct share_slot *slot, int worker, uint32_t run);
/* slot[team_size]. n_items: of the worker's node, not of all nodes; the same for its workers. n_piece (1..SHARE_PIECE_MAX): the
 * number of pieces of each range; 1: no piece changes hands, and nothing shared is touched. */
void share_begin(struct share *s, struct share_slot *slot, const struct team *t, int worker, size_t n_items,
		 size_t n_piece);
/* The next piece to do, never empty. false: all pieces are taken, though other workers may still compute theirs. */
bool share_next(struct share *s, size_t *begin, size_t *end);

#endif
