/* From a model file's metadata to its vocabulary: the one place that knows both. */
#ifndef GYRE_DAEMON_TEXT_VOCAB_GGUF_H
#define GYRE_DAEMON_TEXT_VOCAB_GGUF_H

#include <stddef.h>

struct gguf;
struct vocab;

/* -EINVAL and a message naming the remedy, or -ENOMEM. The vocab keeps nothing of g. */
int vocab_from_gguf(struct vocab **vocabp, const struct gguf *g, char *err, size_t err_len);

#endif
