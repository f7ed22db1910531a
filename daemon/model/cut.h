/*
 * Tensors of a file that are several of the model's (gguf_cut), and those that the model is run without. A file has either form of them,
 * and both become the same tensors before anything else sees them.
 */
#ifndef GYRE_DAEMON_MODEL_CUT_H
#define GYRE_DAEMON_MODEL_CUT_H

#include "daemon/model/tensors.h"

struct arch;

#define CUT_PARTS 3

/*
 * One tensor, as a matrix or as its vector of biases, that may be in the place of several: all rows of the first, then all of the next; or
 * a head of each in turn. It is cut in layers in which the architecture has all parts.
 */
struct cut {
	const char *of; /* behind "blk.N.", without ".weight" or ".bias"; a part may bear the same name */
	bool is_by_head;
	struct {
		const char *name; /* likewise; NULL past the last */
		enum vector_width n_row;
	} part[CUT_PARTS];
};

/* For an architecture's row (arch.h). q, k, v, and gate and up of experts, are looked for with every one. */
extern const struct cut cut_gate_up; /* ffn_up is gate and up */
extern const struct cut cut_q_gate;  /* attn_q has behind each query head its gate */

/*
 * Cuts what is fused; leaves out the blocks that predict further tokens (hparams.n_nextn) and what sees or hears. A second time it does
 * nothing. -EINVAL with the tensor's name: its shape is not that of its parts.
 */
int cut_tensors(struct gguf *g, const struct arch *arch, const struct hparams *hp, struct error *e);

#endif
