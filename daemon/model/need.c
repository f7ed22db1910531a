#include "daemon/model/need.h"

#include "daemon/model/arch.h"

int model_need(struct model_need *n, const struct gguf *g, enum kvq_type kv_type, struct error *e)
{
	const struct arch *arch;
	struct hparams hp;
	int r = arch_read_shape(&arch, &hp, g, e);

	if (r < 0)
		return r;
	*n = (struct model_need){ .n_ctx_train = hp.n_ctx_train };
	for (size_t i = 0; i < gguf_n_tensor(g); i++)
		n->weight_bytes += gguf_tensor_at(g, i)->bytes;
	n->position_bytes = 2ull * hp.n_layer * hp.n_head_kv * kvq_bytes(kv_type, (int)hp.head_dim) / KV_BLOCK;
	return 0;
}
