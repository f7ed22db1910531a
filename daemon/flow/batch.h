/*
 * What travels between the stages of one step: sched_plan fills sequences and rows, model_forward turns rows into logits,
 * sample_batch turns logits into tokens, emit_batch into completions. All arrays are allocated once (batch_init).
 */
#ifndef GYRE_DAEMON_FLOW_BATCH_H
#define GYRE_DAEMON_FLOW_BATCH_H

#include "daemon/flow/request.h"

struct kernels;

#define BATCH_SEQ_MAX 256u /* sequences in one step */

/* Consecutive rows of one request. */
struct batch_seq {
	struct request *request;
	const uint32_t *block; /* its KV blocks; cover [0, n_past + n_row) */
	uint32_t n_past;       /* position of its first row */
	uint32_t row0, n_row;
	uint32_t n_spare; /* guesses there may be behind these rows */
	uint32_t n_draft; /* of these rows, the last n_draft are guesses to be verified */
	/* Where its states lie, if the model has any. They stand behind row n_past - n_replay - 1: of the guesses of the step before, the
	 * first n_replay were right, and the slot keeps what they were computed from. n_past == 0: they begin, whatever lies there.
	 * Behind this step they stand before its guesses. */
	uint32_t slot, n_replay;
};

/* A sampled token, or a score, of one logit row. */
struct batch_token {
	uint32_t seq; /* index into seq[] */
	int32_t token;
	float logprob;   /* not finite: the row's numbers are none, and its request ends */
	bool is_drafted; /* it had been guessed */
	uint32_t n_top;
	struct gyre_top top[GYRE_TOP_MAX];
};

#define LOGIT_RANGE 256u /* tokens; a node's part of the vocabulary is whole ranges */

/* Of a range of a row of logits, as the model gave them. */
struct logit_range {
	float max; /* NaN if all are */
	float sum; /* of exp(x - max) */
};

struct batch {
	uint32_t n_row_max; /* capacity: rows (prefill chunk budget + sequences) */
	uint32_t n_seq;
	struct batch_seq seq[BATCH_SEQ_MAX];

	uint32_t n_ended;
	struct request *ended[BATCH_SEQ_MAX]; /* sched -> emit: no rows, completions owed */

	uint32_t n_row;
	int32_t *token;    /* [n_row_max] */
	int32_t *pos;      /* [n_row_max] */
	uint32_t *row_seq; /* [n_row_max] index into seq[] */

	uint32_t n_logit; /* rows whose logits are wanted, ascending */
	uint32_t n_logit_max;
	uint32_t *logit_row;   /* [n_logit_max] row index */
	float *logits;         /* [n_logit_max][logit_stride]: written by model_forward */
	uint32_t logit_stride; /* n_vocab up to a multiple of 16 */
	uint32_t n_range;
	struct logit_range *range; /* [n_logit_max][n_range]: written with the logits, while they are in L1 */

	uint32_t n_hidden;      /* rows whose vectors are wanted, ascending */
	uint32_t *hidden_row;   /* [n_row_max] row index; NULL: there is no room for any (batch_init_hidden) */
	float *hidden;          /* [n_row_max][hidden_stride]: written by model_forward */
	uint32_t hidden_stride; /* n_embd up to a multiple of 16 */

	/* The first layer in which the keys or values of a row are not finite whose logits or vector are not either; n_layer: in none, so the fault
	 * is behind them; -1: there is no such row. */
	int32_t fault_layer;

	uint32_t n_token;        /* sample -> emit */
	struct batch_token *out; /* [n_logit_max], in order of seq */
	uint64_t time_ns;        /* when they were sampled */

	uint64_t layout_ns;  /* when the rows were last laid out: the forward pass begins */
	uint64_t forward_ns; /* how long the forward pass took */
};

int batch_init(struct batch *b, uint32_t n_row_max, uint32_t n_logit_max, uint32_t n_vocab);
/* Room for vectors, of each row one. -ENOMEM. */
int batch_init_hidden(struct batch *b, uint32_t n_embd);
void batch_deinit(struct batch *b);

/* Fills rows and logit rows from seq[0, n_seq): n_past, n_row and the tokens of their requests (drafts lie behind n_token). */
void batch_layout(struct batch *b);

static inline uint32_t logit_n_range(uint32_t n_vocab)
{
	return (n_vocab + LOGIT_RANGE - 1) / LOGIT_RANGE;
}

/* Tokens of a range; the last has what is left. */
static inline uint32_t logit_range_tokens(uint32_t n_vocab, uint32_t range)
{
	uint32_t left = n_vocab - range * LOGIT_RANGE;

	return left < LOGIT_RANGE ? left : LOGIT_RANGE;
}

/* x[n]: the logits of the range. */
void batch_sum_range(struct logit_range *r, const struct kernels *k, const float *x, uint32_t n);

#endif
