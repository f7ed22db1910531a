/* Any 64 bytes as an SQE, any tail as its options: no crash, what passes keeps its promises, and what does not says why. */
#include "daemon/op/op.h"
#include "daemon/prompt/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(int ok)
{
	if (!ok)
		abort();
}

/* Whole sentences: none is so long that it is cut. */
static void require_words(const struct words *w)
{
	require(w->n > 10 && w->n < GYRE_WORDS_MAX && strlen(w->text) == w->n);
	for (uint32_t i = 0; i < w->n; i++)
		require(w->text[i] >= ' ' && w->text[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct geometry g = { .arena_bytes = 65536, .n_vocab = 1000, .n_ctx = 512, .text_max = 65536 };
	struct words w = { .n = 0 };
	struct gyre_sqe sqe;
	struct sampling s;

	if (n < sizeof(sqe))
		return 0;
	memcpy(&sqe, data, sizeof(sqe));
	if (op_check(&sqe, &g, &w) < 0) {
		require_words(&w);
	} else {
		require((uint64_t)sqe.data_off + sqe.data_len <= g.arena_bytes || !sqe.data_len);
		require((uint64_t)sqe.opts_off + sqe.opts_len <= g.arena_bytes || !sqe.opts_len);
		require(!sqe.reserved && sqe.opts_len <= VALIDATE_OPTIONS_MAX);
		require(!(sqe.flags & GYRE_SQE_KEEP) == !sqe.keep_ms && sqe.keep_ms <= GYRE_KEEP_MS_MAX);
		require(!(sqe.flags & GYRE_SQE_PIN) || (sqe.flags & GYRE_SQE_KEEP));
		require(!(sqe.flags & GYRE_SQE_FORK) || !(sqe.flags & GYRE_SQE_CHAT));
	}
	w.n = 0;
	if (validate_options(data + sizeof(sqe), n - sizeof(sqe), &g, &s, &w) < 0) {
		require_words(&w);
	} else {
		require((s.pooling & ~GYRE_POOLING_RAW) < GYRE_POOLING_KINDS);
		require(isfinite(s.temperature) && s.n_top <= GYRE_TOP_MAX && s.n_bias <= GYRE_BIAS_MAX);
		for (uint32_t i = 0; i < s.n_bias; i++)
			require(s.bias[i].token < g.n_vocab && !isnan(s.bias[i].bias));
		for (uint32_t i = 0; i < s.n_stop; i++)
			require(s.stop_len[i] > 0 && s.stop_len[i] <= GYRE_STOP_BYTES_MAX);
		w.n = 0;
		if (op_find(sqe.opcode) && op_check_options(op_find(sqe.opcode), &s, &w) < 0)
			require_words(&w);
	}
	return 0;
}
