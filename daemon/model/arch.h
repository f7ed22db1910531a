/* What an architecture implements. One file each, straight C: a table of its tensors, and the pass in blocks (block.h). */
#ifndef GYRE_DAEMON_MODEL_ARCH_H
#define GYRE_DAEMON_MODEL_ARCH_H

#include "daemon/model/seat.h"
#include "daemon/model/tensors.h"

struct arch {
	const char *name; /* general.architecture */
	/* Names of its parts of the profile. */
	const char *lap[PROFILE_MODEL_MAX];
	/* What a tensor of that name is divided along. */
	enum plan_axis (*axis)(const char *name, size_t n);
	/* What every layer has, and where a layer of layer_bytes keeps it. */
	const struct layer_tensor *tensor;
	size_t n_tensor, layer_bytes;
	/* attention.sliding_window is obeyed, in all layers. Else the file does not say of which layers it is, and the context ends
	 * where it would begin to matter. */
	bool has_window;
	/* Reads what is this architecture's own, finds its tensors and checks their shapes; m->layer is zeroed memory. */
	int (*open)(struct tensors *t, struct error *e);
	/* SPMD: the pass over m->batch. */
	void (*forward)(const struct seat *s);
};

/* The architecture and the shape that a file says. -ENOTSUP, -EINVAL with what is wrong with it. */
int arch_read(const struct arch **arch, struct hparams *hp, const struct gguf *g, struct error *e);
/* The i-th row of the table, NULL past the end. */
const struct arch *arch_at(size_t i);

#endif
