#include "daemon/daemon.h"

int daemon_step(struct daemon *d)
{
	intake_drain(&d->intake, &d->queue);              /* SQ rings -> requests    */
	if (!sched_plan(&d->sched, &d->queue, &d->batch)) /* requests -> batch + KV  */
		return intake_park(&d->intake);
	spec_draft(&d->spec, &d->batch);             /* rows     -> longer rows */
	model_forward(d->model, d->team, &d->batch); /* batch    -> logits      */
	sample_batch(&d->sample, &d->batch);         /* logits   -> tokens      */
	emit_batch(&d->emit, &d->batch);             /* tokens   -> CQ rings    */
	return 0;
}
