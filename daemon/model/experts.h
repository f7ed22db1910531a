/*
 * Who takes which expert, and where that is computed: of a step's rows each takes n_expert_used, so there are n_row * n_expert_used pairs
 * (a row and an expert). Pairs are numbered by expert, then by row, so that an expert's rows lie side by side: a run, in tiles of
 * up to ACT_TILE rows. Each worker makes the list for itself; what is computed of pairs all share.
 */
#ifndef GYRE_DAEMON_MODEL_EXPERTS_H
#define GYRE_DAEMON_MODEL_EXPERTS_H

#include "daemon/model/block.h"
#include "daemon/model/route.h"

struct experts_pair {
	uint32_t row;
	float weight;
};

/* Pairs [pair0, pair0 + n) of an expert, and their tiles. */
struct experts_run {
	uint32_t expert, pair0, n;
	uint32_t tile0, n_tile;
};

struct experts_tile {
	uint32_t pair0, n;
};

/* A worker's own. */
struct experts_own {
	struct routed *routed; /* [ACT_TILE][n_expert_used], where each worker routes all rows */
	float shared[ACT_TILE];
	float *scratch; /* of route_row */
	float *gather;  /* [ACT_TILE][x_stride]: rows of a tile */
	uint32_t *at;   /* [n_expert] */
	struct experts_pair *pair;
	struct experts_run *run;
	struct experts_tile *tile;
	uint32_t n_pair, n_run, n_tile;
	uint8_t *mem[ACT_KIND_MAX]; /* of what a single row's experts give, packed */
};

/* What all share. */
struct experts {
	uint32_t kinds;                   /* of activations, that some layer's experts want */
	uint32_t ff_stride, logit_stride; /* n_ff_expert, n_expert up to a multiple of PANEL_ROWS */
	uint32_t n_pair_max;
	float *logits;         /* [n_row_max][logit_stride] of the router */
	float *rows;           /* [n_row_max][x_stride]: normed, where they are more than a tile */
	struct routed *routed; /* [n_row_max][n_expert_used] */
	float *shared;         /* [n_row_max]: weight of the expert that all take */
	float *gate, *up;      /* [n_pair_max][ff_stride] */
	uint8_t *mem
		[ACT_KIND_MAX]; /* of what pairs take, then of what they give, packed; behind it that of the shared expert */
};

/* Notes what a layer's experts want of the work space; the first of them takes m->experts. */
int experts_open(struct model *m, const struct experts_in *in, struct error *e);
/* The work space, where there are experts; scratch.h says when. */
bool experts_new(struct model *m);
void experts_free(struct model *m);

/* The worker's list of all rows' pairs: routed[n_row][n_expert_used]. */
void experts_list(struct experts_own *own, const struct hparams *hp, const struct routed *routed, uint32_t n_row);

#endif
