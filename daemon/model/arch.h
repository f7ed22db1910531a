/*
 * What an architecture is: a row of data beside its table of tensors, a file arch_<a>.c each, and the pass that runs it. Several
 * architectures share a pass, which takes from the row what they differ in; one that computes something else brings its own.
 */
#ifndef GYRE_DAEMON_MODEL_ARCH_H
#define GYRE_DAEMON_MODEL_ARCH_H

#include "daemon/model/block_mix.h"
#include "daemon/model/cut.h"
#include "daemon/model/seat.h"
#include "daemon/model/tensors.h"

/* A forward pass, straight C in blocks (block.h): decoder.c. */
struct pass {
	/* Names of its parts of the profile. */
	const char *lap[PROFILE_MODEL_MAX];
	/* What it keeps of a layer; the architecture's table says which tensor goes where. */
	size_t layer_bytes;
	/* Finds the tensors and checks their shapes; m->layer is zeroed memory. */
	int (*open)(struct tensors *t, struct error *e);
	/* SPMD: the pass over m->batch. */
	void (*forward)(const struct seat *s);
};

/* The activation of a feed-forward: of its gate, or where it has none of what it stands in the place of. gelu: in its form of tanh. oai: what gpt-oss
 * makes of silu (oai_mul). The last two are of those without a gate. */
enum gate { GATE_SILU, GATE_GELU, GATE_OAI, GATE_RELU2, GATE_XIELU, GATE_MAX };

/* RMS norm, or layer norm, without biases or with. */
enum arch_norm { NORM_RMS, NORM_LAYER, NORM_LAYER_BIAS };

/* Whether files of an architecture have experts, and how it weighs them where they do not say. */
struct arch_experts {
	enum { EXPERTS_NEVER, EXPERTS_MAYBE, EXPERTS_ALWAYS } are;
	enum gating gating; /* 0: softmax */
	bool is_unnormed;   /* weights of the chosen stay as they are */
	bool is_on_input;   /* what an expert takes is weighed, not what it gives */
};

struct arch {
	const char *name; /* general.architecture */
	const struct pass *pass;
	/* What its layers have. */
	const struct layer_tensor *tensor;
	size_t n_tensor;
	const struct cut *cut; /* what its files have as one tensor, beside what any file may; NULL: nothing */

	const char *output_norm; /* the name of the norm before the output; NULL: "output_norm.weight" */

	/* What its layers that are LAYER_STATE do; NULL: it has none. */
	const struct mixer *mixer;
	bool has_embd_norm; /* of the embedding, with a bias: token_embd_norm */
	bool has_aside; /* the feed-forward of a layer with experts is added together with what they give (struct beside) */
	bool has_q_gate; /* attention's output is multiplied with the sigmoid of a gate, heads.q_gate */

	enum rope_pairs rope;
	enum gate gate;
	enum arch_norm norm;
	struct arch_experts experts;
	/* attention.sliding_window is obeyed, in the layers that are LAYER_WINDOW: all, where imply says nothing. Else the file does not say of which layers
	 * it is, and the context ends where it would begin to matter. */
	bool has_window;
	/* The layers that have a window turn by a table of their own, without the scaling of the others: of base rope.freq_base_swa, and where the
	 * file has none, of window_base; 0: of the others' base. */
	bool has_window_rope;
	float window_base;
	bool has_exact_yarn; /* YaRN's bounds are not truncated to whole pairs, where the file does not say so */
	/* Layers with a window have heads of a shape of their own (attention.key_length_swa; head_count_kv, which then may differ by layer), and
	 * feed_forward_length may differ, too. */
	bool has_layer_shapes;
	/* Keys that change its numbers, which other architectures may not have; up to a NULL. NULL: none. */
	const char *const *obeys;
	/* Keys that say nothing of text: of a model that takes images, too; likewise. */
	const char *const *of_images;
	/* Fills in what the file leaves to the architecture, and reads what no other has: a factor or a cap that the file does not have is 0,
	 * and kind[] is what all architectures make of the metadata. NULL: nothing. */
	int (*imply)(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);
	/* Fills in what layers have beside tensors, once the pass is open. NULL: nothing. */
	int (*open)(struct tensors *t, struct error *e);
};

/* The architecture and the shape that a file says. -ENOTSUP, -EINVAL with what is wrong with it. */
int arch_read(const struct arch **arch, struct hparams *hp, const struct gguf *g, struct error *e);
/* The i-th row of the table, NULL past the end. */
const struct arch *arch_at(size_t i);

#endif
