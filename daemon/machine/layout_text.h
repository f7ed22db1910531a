/* A topology and a layout as tables that people read (`gyre plan --topology`) and tests compare. */
#ifndef GYRE_DAEMON_MACHINE_LAYOUT_TEXT_H
#define GYRE_DAEMON_MACHINE_LAYOUT_TEXT_H

#include "daemon/machine/layout.h"

#include <stdio.h>

/* Nodes with their cores and memory, then a line for each thing out of the ordinary and its consequence. */
void layout_print_topology(FILE *f, const struct topology *t);
/* The i-th of these lines; false: there is none. */
bool layout_note_topology(const struct topology *t, int i, char *text, size_t n);
void layout_print(FILE *f, const struct layout *l);

/* Counts on one node. */
struct node_count {
	int n_cpu, n_core, n_slow; /* hardware threads that may be used; cores and efficiency cores among them */
};

struct node_count layout_count_on(const struct topology *t, int i);

#endif
