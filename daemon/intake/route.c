#include "daemon/intake/route.h"
#include "daemon/util/hashchain.h"
#include "shm/atomic.h"

/* Of r's prompt, what each engine knows. */
static void find_known(const struct served *served, const struct request *r, uint32_t *n_known)
{
	uint64_t h = hashchain_begin(hashchain_salt(served->shares_prefixes, r->user->uid));

	for (uint32_t n = HASHCHAIN_LEN; n < r->kept.n_prompt; n += HASHCHAIN_LEN) {
		h = hashchain_add(h, r->token + n - HASHCHAIN_LEN, HASHCHAIN_LEN);
		for (uint32_t i = 0; i < served->n_engine; i++)
			if (load_relaxed64(&served->queue[i]->prefix[h & (QUEUE_PREFIX_MAX - 1)]) == h)
				n_known[i] = n;
	}
}

struct queue *route_choose(const struct served *served, const struct request *r, const struct queue *own)
{
	uint32_t n_known[QUEUE_ENGINE_MAX] = { 0 }, n_prompt = r ? r->kept.n_prompt : 0;
	struct queue *best = NULL;
	uint64_t least = 0;

	if (r && served->n_engine > 1)
		find_known(served, r, n_known);
	for (uint32_t i = 0; i < served->n_engine; i++) {
		struct queue *q = served->queue[i];
		uint64_t n = queue_load(q) + n_prompt - n_known[i];

		if (best && n >= least + (q == own))
			continue;
		best = q;
		least = n;
	}
	return best;
}
