/* Metadata that every decoder has, and which of all that a file may say gyre computes. */
#ifndef GYRE_DAEMON_MODEL_HPARAMS_H
#define GYRE_DAEMON_MODEL_HPARAMS_H

#include "daemon/model/model.h"

struct arch;

/* A bound far above any model in use, low enough that products of three such numbers stay inside 64 bits. */
#define HPARAMS_DIM_MAX (1u << 20)

/* -EINVAL, -ENOTSUP with the key's name. */
int hparams_read(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e);
/* hparams_get.c: keys "<arch>.<name>", refused by name where they are out of range or of another type. A number in 1..max; def: what an absent key means, 0: it must be there. */
int hparams_get_u32(const struct gguf *g, const char *arch, const char *name, uint32_t *v, uint32_t def, uint32_t max,
		    struct error *e);
/* A number of 0..max; absent: def. */
int hparams_get_count(const struct gguf *g, const char *arch, const char *name, uint32_t *v, uint32_t def, uint32_t max,
		      struct error *e);
/* Absent: *v stays. */
int hparams_get_bool(const struct gguf *g, const char *arch, const char *name, bool *v, struct error *e);
/* A scale or a cap; absent: 0. */
int hparams_get_factor(const struct gguf *g, const char *arch, const char *name, float *v, struct error *e);
/* As hparams_get_u32 of what layers may have none of, which is 0; where they may differ it is the largest. */
int hparams_get_of_some(const struct gguf *g, const char *arch, const char *name, bool may_differ, uint32_t *v,
			uint32_t def, struct error *e);
/* Whether the file does not say it, or says 0 of all layers. */
bool hparams_has_none(const struct gguf *g, const char *arch, const char *name);
/* A number of each layer, or one for all: 0..max. -ENOENT: the file has none, and e is not set. */
int hparams_get_layers(const struct gguf *g, const char *arch, const char *name, uint32_t *v, uint32_t n_layer,
		       uint32_t max, struct error *e);
/* Takes bits from every period-th layer, the last of each period. */
void hparams_set_period(struct hparams *hp, uint32_t period, uint8_t bits);
/* Takes bits from the layers that see all positions: attention.sliding_window_pattern is a period, whose last layer does, or a flag of each
 * layer that does not; `period`: what an absent key means. */
int hparams_read_pattern(struct hparams *hp, const struct gguf *g, const char *arch, uint32_t period, uint8_t bits,
			 struct error *e);
/* Reads hparams.ssm: all of its keys but group_count, which is 1 where it is absent, must be there. */
int hparams_read_ssm(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);
/* Which shape a layer's heads have; and what it is. */
enum head_shapes hparams_shape(const struct hparams *hp, uint32_t layer);
struct head_shape hparams_heads(const struct hparams *hp, enum head_shapes shape);
/* The shape as a layer has it: its heads and its feed-forward. */
struct hparams hparams_of_layer(const struct hparams *hp, uint32_t layer);
/* -EINVAL, -ENOTSUP: not a shape that gyre runs. */
int hparams_check_heads(const struct head_shape *h, uint32_t value_dim, struct error *e);
/* hparams_shapes.c: of an architecture that has_layer_shapes what its layers have; kind[] says which have a window. */
int hparams_read_shapes(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);
/* How many positions a layer sees; 0: all. */
uint32_t hparams_window(const struct hparams *hp, uint32_t layer);

/* hparams_experts.c: what the file says of experts, and which layers have them: LAYER_FF, LAYER_EXPERTS, LAYER_SHARED of kind[]. */
int hparams_read_experts(struct hparams *hp, const struct gguf *g, const struct arch *arch, struct error *e);

/* keys.c: -ENOTSUP with the name of a key that asks for what gyre does not compute. */
int keys_check(const struct gguf *g, const struct arch *arch, struct error *e);
/* Whether a key that changes numbers is obeyed by this architecture. */
bool keys_is_obeyed(const struct arch *arch, const char *name);

#endif
