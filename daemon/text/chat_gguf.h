/* From a model file's metadata, or the configuration's replacement, to its chat template: the one place that knows both. */
#ifndef GYRE_DAEMON_TEXT_CHAT_GGUF_H
#define GYRE_DAEMON_TEXT_CHAT_GGUF_H

#include "daemon/util/error.h"

struct chat;
struct gguf;
struct vocab;

#define CHAT_DATE_DEFAULT "2024-07-26" /* the constant of Llama 3.1's template */

enum chat_outcome { CHAT_MADE, CHAT_NONE };

/*
 * template: a file, or the name of one that gyred brings along; "" or NULL: the model file's own. date: the answer to
 * templates that ask for it, YYYY-MM-DD; NULL: the default.
 * CHAT_MADE; e may have a warning: the template fails on a simple conversation. CHAT_NONE: the model file has no template, or one that
 * cannot be parsed; e says which, with the remedy. Negative: template or date is wrong, or no memory.
 */
int chat_from_gguf(struct chat **cp, const struct gguf *g, const struct vocab *v, const char *template,
		   const char *date, struct error *e);

#endif
