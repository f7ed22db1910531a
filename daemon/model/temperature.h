/* The temperature of queries: of a context longer than the model was made for, scores are sharpened by what a query is multiplied with. */
#ifndef GYRE_DAEMON_MODEL_TEMPERATURE_H
#define GYRE_DAEMON_MODEL_TEMPERATURE_H

#include "daemon/util/error.h"

struct model;

/* m->temperature from hparams.temp_scale, NULL where that is 0. -ENOMEM. */
int temperature_open(struct model *m, struct error *e);

#endif
