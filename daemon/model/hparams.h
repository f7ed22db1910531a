/* Metadata that every decoder has, and which of all that a file may say gyre computes. */
#ifndef GYRE_DAEMON_MODEL_HPARAMS_H
#define GYRE_DAEMON_MODEL_HPARAMS_H

#include "daemon/model/model.h"

/* -EINVAL, -ENOTSUP with the key's name. */
int hparams_read(struct hparams *hp, const struct gguf *g, const char *arch, struct error *e);

/* keys.c: -ENOTSUP with the name of a key that asks for what gyre does not compute. */
int keys_check(const struct gguf *g, const char *arch, struct error *e);

#endif
