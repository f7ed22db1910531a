/*
 * What weights.c knows before it reads: where each tensor's parts will lie (places.c), and which pieces of the files are read and packed
 * into which of them (jobs.c).
 */
#ifndef GYRE_DAEMON_WEIGHTS_PLACES_H
#define GYRE_DAEMON_WEIGHTS_PLACES_H

#include "daemon/weights/loader.h"
#include "daemon/weights/weights.h"

/* Fills w->tensor and w->part, whose data are offsets in their node's pool for now; bytes: how much each pool has to hold. */
int weights_lay_out(struct weights *w, uint64_t bytes[NODE_MAX], struct error *e);

#define RUN_BYTES_MIN (64u << 10) /* shorter runs of a piece's rows are read with the gaps between them */

/* Whether each job reads rows of one run: of a matrix whose runs are long, and end where a panel does. */
bool weights_keeps_to_runs(const struct gguf_tensor *t);

/* The jobs that read every tensor, or vectors alone, malloced. In the order of the files, so that the disk sees mostly ascending reads. */
int weights_jobs(struct loader_job **job, size_t *n_job, const struct weights *w, bool are_vectors, struct error *e);

#endif
