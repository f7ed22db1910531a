#include "daemon/engine/demand.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/room.h"
#include "daemon/kv/kv.h"
#include "daemon/util/cleanup.h"

#include <errno.h>

CLEANUP_FUNC(struct weights *, weights_free)
CLEANUP_FUNC(struct model *, model_close)

static int open_model(struct model **m, const struct weights *w, const struct kernels *k,
		      const struct config_model *own, struct error *e)
{
	struct model_options o = { .n_row_max = 1, .n_logit_max = 1, .n_thread = 1, .n_ctx = own->n_ctx };

	o.kv_type = kvq_parse(own->kv_type);
	if (!o.n_ctx)
		o.n_ctx = engine_default_ctx(w->gguf);
	return model_open(m, w, k, &o, e);
}

int demand_read(struct demand *n, const struct config_model *own, const struct layout *l, struct error *e)
{
	const struct weights_options wo = { .plan = model_plan, .layout = l };
	_cleanup_(weights_freep) struct weights *w = NULL;
	_cleanup_(model_closep) struct model *m = NULL;
	struct kernels k;
	struct kv_cost cost;
	size_t n_block;
	int r;

	kernels_select(&k, ISA_MAX);
	r = weights_outline(&w, own->file, &wo, e);
	if (r == 0)
		r = open_model(&m, w, &k, own, e);
	if (r < 0)
		return r;
	cost = room_cost(m);
	n_block = own->kv_bytes ? kv_divide(&cost, own->kv_bytes) : room_blocks_wanted(m, model_n_ctx(m));
	*n = (struct demand){ .n_node = l->n_node, .cost = cost, .n_least = cost.block ? KV_FIT_LEAST / KV_BLOCK : 1 };
	for (int i = 0; i < l->n_node; i++) {
		n->weights[i] = w->pool[i].bytes;
		n->kv[i] = n_block * model_kv_block_bytes(m, (uint32_t)i) +
			   kv_n_slot(&cost, n_block) * model_state_bytes(m, (uint32_t)i);
	}
	return 0;
}
