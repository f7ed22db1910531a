#include "daemon/spec/chance.h"

#define FADE     0.98f /* so that the last fifty count */
#define STAND_IN 4.0f  /* guesses that the engine's figure counts as */

uint32_t chance_kind(uint32_t length, bool is_alone)
{
	static const uint32_t bound[] = { 4, 5, 7, 10, 15, 25, 45 };
	uint32_t i = 0;

	while (i < sizeof(bound) / sizeof(bound[0]) && length >= bound[i])
		i++;
	return 2 * i + is_alone;
}

void chance_learn(struct chance *c, uint32_t kind, bool is_hit)
{
	c->n[kind] = c->n[kind] * FADE + 1;
	c->n_hit[kind] = c->n_hit[kind] * FADE + (is_hit ? 1.0f : 0.0f);
}

float chance_of(const struct chance *of, const struct chance *all, uint32_t kind)
{
	float usual = (all->n_hit[kind] + 1) / (all->n[kind] + 2);

	return (of->n_hit[kind] + STAND_IN * usual) / (of->n[kind] + STAND_IN);
}
