#include "daemon/engine/engine.h"

void engine_step(struct engine *e)
{
	intake_drain(e->intake, &e->queue);               /* SQ rings -> requests    */
	if (!sched_plan(&e->sched, &e->queue, &e->batch)) /* requests -> batch + KV  */
		return intake_park(e->intake, &e->queue);
	spec_draft(&e->spec, &e->batch);             /* rows     -> longer rows */
	model_forward(e->model, e->team, &e->batch); /* batch    -> logits      */
	sample_batch(&e->sample, &e->batch);         /* logits   -> tokens      */
	emit_batch(&e->emit, &e->batch);             /* tokens   -> CQ rings    */
}
