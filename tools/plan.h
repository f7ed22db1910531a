/* Shared by the parts of `gyre plan`. */
#ifndef GYRE_TOOLS_PLAN_H
#define GYRE_TOOLS_PLAN_H

#include "daemon/machine/layout.h"
#include "tools/tool.h"

/* Prints how a->model is divided over the layout's nodes, and the predicted gain of 1 to 8 nodes like the n_numa of this machine. */
int plan_model(const struct args *a, const struct layout *l, int n_numa);
/* Prints what the models of a->word[] take on that layout. Exit status 1: they do not fit. */
int plan_memory(const struct args *a, const struct layout *l);

#endif
