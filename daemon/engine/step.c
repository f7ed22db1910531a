#include "daemon/engine/engine.h"

void engine_step(struct engine *e)
{
	intake_drain(e->intake, e->queue);               /* SQ rings -> requests    */
	if (!sched_plan(&e->sched, e->queue, &e->batch)) /* requests -> batch + KV  */
		return intake_park(e->intake, e->queue);
	spec_draft(&e->spec, &e->batch);                               /* rows     -> longer rows */
	team_set_spin(e->team, !cores_take(&e->seat, e->batch.n_row)); /* one model at a time     */
	model_forward(e->model, e->team, &e->batch);                   /* batch    -> logits      */
	sample_batch(&e->sample, &e->batch);                           /* logits   -> tokens      */
	cores_give(&e->seat);
	emit_batch(&e->emit, &e->batch); /* tokens   -> CQ rings    */
}
