/* `gyre inspect`: what is in a model's files (inspect.c), and what model that is (inspect_model.c). */
#ifndef GYRE_TOOLS_INSPECT_H
#define GYRE_TOOLS_INSPECT_H

#include "tools/tool.h"

#include "daemon/gguf/gguf.h"

/* Control characters of a stranger's text do not reach the terminal. */
void inspect_text(struct gguf_str s, uint64_t max);
const char *inspect_type_name(uint32_t type);

/* The model as figures; of one that gyre does not run, those that its header has, and the reason. path: of any of its files. */
json_t *inspect_model(const struct gguf *g, const char *path);
void inspect_print_model(const json_t *model);
/* The architectures that gyre runs. */
int inspect_list(const struct args *a);

#endif
