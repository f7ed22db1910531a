/*
 * What a tensor's parts take of the rows that a job has read.
 */
#ifndef GYRE_DAEMON_WEIGHTS_PACK_H
#define GYRE_DAEMON_WEIGHTS_PACK_H

#include "daemon/weights/loader.h"

/* buf: what the job has read. Its own bytes come together at the front. */
void pack_gather(const struct loader_job *job, uint8_t *buf);
/* src: the job's own bytes. Every part gets its rows and columns of them. false: some are no finite numbers. */
bool pack_job(const struct loader_job *job, const uint8_t *src);
/* Has the pages that p takes of consecutive jobs, from first to last, in its pool of pools[]. */
int pack_populate(const struct pool *pools, const struct tensor_part *p, const struct loader_job *first,
		  const struct loader_job *last);

#endif
