/*
 * The frame of mixers: what mixes a layer's tokens without attention, from products of the norm to what block_residual adds.
 *   m->mix.row[n_row][..] = the products W . n, n = norm(x), side by side; all nodes' (PLAN_ROW)
 *   the mixer's stages, each over units (a head, a range of channels) of each sequence, in place in these rows
 * and the last of them leaves the source of the output product at m->mix.y. Which products there are is the architecture's table of
 * tensors (mix_in.proj), what the stages do the mixer's file block_<mixer>.c.
 *
 * A unit is of one node, as its part of the sequence's state is, and goes to one of that node's workers; what a unit reads that another
 * one writes belongs into another stage. Rows of a sequence go one after the other, so that how they are cut into steps does not
 * enter the bits.
 */
#ifndef GYRE_DAEMON_MODEL_BLOCK_MIX_H
#define GYRE_DAEMON_MODEL_BLOCK_MIX_H

#include "daemon/model/seat.h"

#include "daemon/team/plan.h"

#define MIX_STAGE_MAX 4
#define MIX_KEY_MAX   256u  /* key dimensions of a state */
#define MIX_UNIT_MAX  1024u /* channels of a convolution's unit */

/* What a layer's mixer has; what a mixer does not know is NULL. */
struct mix_in {
	struct norm norm;
	const struct tensor *proj[MIX_PROJ_MAX];
	const struct tensor *conv, *conv_bias; /* [channels][taps] */
	const struct tensor *x, *dt;           /* products of columns of the rows */
	const struct tensor *a, *d, *dt_bias;  /* a vector of heads, or of channels; a: or of these by keys */
	struct norm y_norm;
};

/* One sequence of the step, as a stage sees it. */
struct mix_seq {
	const struct seat *s;
	const struct mix_in *in;
	const struct batch_seq *seq;
	float *row;     /* its first row of m->mix.row; the next one is m->mix.stride floats on */
	uint8_t *state; /* its state of the layer, on the unit's node; NULL: it has none there */
};

/* A product of columns of the rows, which leaves its own there: where they begin, dst a multiple of PANEL_ROWS. */
struct mix_product {
	const struct tensor *w;
	uint32_t matrix; /* which of w's, where it has several */
	uint32_t src, dst;
	void (*act)(const struct kernels *k, float *y, size_t n); /* NULL: none */
};

/* Work between two barriers, and before it a product. */
struct mix_stage {
	uint32_t (*n_unit)(const struct model *m); /* of a sequence, on all nodes */
	void (*run)(const struct mix_seq *q, uint32_t unit);
	struct mix_product (*product)(const struct model *m, const struct mix_in *in); /* NULL: none */
};

struct mixer {
	struct mix_stage stage[MIX_STAGE_MAX]; /* up to one without run */
	/* Columns that the stages want behind the products'; NULL: none. */
	uint32_t (*n_more)(const struct model *m);
	/* The column where the source of the output product begins. */
	uint32_t (*y_at)(const struct model *m);
	/* Bytes of a layer's state on a node. */
	size_t (*state_bytes)(const struct model *m, uint32_t node);
};

/* The node's of n_unit units, which may be none. */
struct plan_range mix_units(const struct model *m, uint32_t n_unit, uint32_t node);

/* Where a layer's products lie in a row of m->mix, which must be the same in all layers, and its state. -EINVAL: they differ. */
int mix_open(struct model *m, const struct mixer *mixer, const struct mix_in *in, uint32_t layer, struct error *e);

/* Each ends with a barrier: a product by all workers, and a stage's units of all sequences. */
void block_mix_multiply(const struct seat *s, int lap, const struct mix_product *p);
void block_mix_run(const struct seat *s, int lap, const struct mix_stage *stage, const struct mix_in *in,
		   uint32_t layer);
/* The products, then the stages. */
void block_mix(const struct seat *s, int lap_products, int lap, const struct mix_in *in, uint32_t layer);

/* ---- what stages are made of ---- */

/* Whether the state begins with these rows, so that nothing is read of its bytes. */
static inline bool mix_begins(const struct batch_seq *seq)
{
	return seq->n_past == seq->n_replay;
}

/* A convolution of n channels (a multiple of LANES, MIX_UNIT_MAX at most) over the rows of a sequence, in place. */
struct mix_conv {
	uint32_t at, n;   /* columns of the rows */
	uint32_t channel; /* the first one's number in in->conv */
	float *ring;      /* [mix_ring_rows][n]: the inputs of the last rows, by position */
};
uint32_t mix_ring_rows(const struct model *m);
void mix_conv(const struct mix_seq *q, const struct mix_conv *c);

/* A recurrence of n_row state rows (a multiple of LANES), a head or a range of channels, over the rows of a sequence. */
struct mix_recur {
	enum recur_form form;
	struct recur in; /* inputs and outputs of the sequence's first row and of the state's first LANES rows */
	uint32_t n_row;
	uint32_t n_w; /* floats of in.w */
	float *kept;  /* [REQUEST_DRAFT_MAX][mix_kept(..)]: the inputs of the step's guesses, for the next one */
};
/* Floats that a row of guesses keeps: a multiple of LANES. */
uint32_t mix_kept(enum recur_form form, uint32_t n_row, uint32_t n_key, uint32_t n_w);
void mix_recur(const struct mix_seq *q, const struct mix_recur *r);

#endif
