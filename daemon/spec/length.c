#include "daemon/spec/length.h"
#include "daemon/util/minmax.h"

#include <stddef.h>

#define GAIN_MIN 0.02f /* nowhere does a row cost so little of a step */
#define MORE_MAX 64u   /* guesses of a step: each is chosen among all streams */

/* The stream whose next guess is likeliest to count. NULL: none is worth a look. */
static struct length_stream *likeliest(struct length_stream *s, uint32_t n_stream)
{
	struct length_stream *best = NULL;
	float most = GAIN_MIN;

	for (uint32_t i = 0; i < n_stream; i++)
		if (s[i].n_chosen < s[i].n && s[i].gain[s[i].n_chosen] > most) {
			best = &s[i];
			most = s[i].gain[s[i].n_chosen];
		}
	return best;
}

/* The likeliest are taken one by one; of all numbers of them the one with the best rate stays. Rows come in tiles, so a guess that does not
 * pay may be followed by one that does. */
uint32_t length_choose(struct length_stream *s, uint32_t n_stream, uint32_t n_row, uint32_t n_token, uint32_t most,
		       const struct length_cost *cost)
{
	struct length_stream *taken[MORE_MAX], *next;
	uint64_t ns = cost->step_ns(cost->of, n_row);
	float n_drawn = (float)n_token, rate = ns ? n_drawn / (float)ns : 0;
	uint32_t n = 0, n_best = 0;

	most = min_u32(most, MORE_MAX);
	for (uint32_t i = 0; i < n_stream; i++)
		s[i].n_chosen = 0;
	while (ns && n < most && (next = likeliest(s, n_stream))) {
		n_drawn += next->gain[next->n_chosen++];
		taken[n++] = next;
		ns = cost->step_ns(cost->of, n_row + n);
		if (ns && n_drawn / (float)ns > rate) {
			rate = n_drawn / (float)ns;
			n_best = n;
		}
	}
	while (n > n_best)
		taken[--n]->n_chosen--;
	return n_best;
}
