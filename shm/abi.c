/*
 * The layout hash: FNV-1a over the place and size of every shared field. Two builds that disagree about one byte of abi.h
 * refuse each other at the handshake. Constants that bound what an offset may be are hashed too.
 */
#include "shm/abi.h"

#include <stddef.h>

#define PLACE(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)

static const uint32_t layout[] = {
	GYRE_ABI_VERSION,
	GYRE_RESULT_SLOT_BYTES,
	GYRE_RESULT_TEXT_BYTES,
	GYRE_TOP_MAX,
	GYRE_SQE_ECHO,
	GYRE_MESSAGE_MAX,
	GYRE_ROLE_VARIABLES,

	sizeof(struct gyre_sqe),
	PLACE(gyre_sqe, opcode),
	PLACE(gyre_sqe, flags),
	PLACE(gyre_sqe, priority),
	PLACE(gyre_sqe, max_tokens),
	PLACE(gyre_sqe, user_data),
	PLACE(gyre_sqe, data_off),
	PLACE(gyre_sqe, data_len),
	PLACE(gyre_sqe, opts_off),
	PLACE(gyre_sqe, opts_len),
	PLACE(gyre_sqe, target),
	PLACE(gyre_sqe, deadline_ns),
	PLACE(gyre_sqe, split),
	PLACE(gyre_sqe, keep_ms),
	PLACE(gyre_sqe, reserved),

	sizeof(struct gyre_options),
	PLACE(gyre_options, size),
	PLACE(gyre_options, n_top),
	PLACE(gyre_options, temperature),
	PLACE(gyre_options, top_p),
	PLACE(gyre_options, min_p),
	PLACE(gyre_options, repetition_penalty),
	PLACE(gyre_options, presence_penalty),
	PLACE(gyre_options, frequency_penalty),
	PLACE(gyre_options, top_k),
	PLACE(gyre_options, penalty_last_n),
	PLACE(gyre_options, seed),
	PLACE(gyre_options, n_bias),
	PLACE(gyre_options, n_stop),
	PLACE(gyre_options, pooling),
	PLACE(gyre_options, draft),

	sizeof(struct gyre_message),
	PLACE(gyre_message, role),
	PLACE(gyre_message, n_text),
	PLACE(gyre_message, n_json),
	PLACE(gyre_message, reserved),

	sizeof(struct gyre_bias),
	PLACE(gyre_bias, token),
	PLACE(gyre_bias, bias),
	sizeof(struct gyre_top),
	PLACE(gyre_top, token),
	PLACE(gyre_top, logprob),

	sizeof(struct gyre_cqe),
	PLACE(gyre_cqe, user_data),
	PLACE(gyre_cqe, res),
	PLACE(gyre_cqe, flags),
	PLACE(gyre_cqe, index),
	PLACE(gyre_cqe, token),
	PLACE(gyre_cqe, logprob),
	PLACE(gyre_cqe, n_bytes),
	PLACE(gyre_cqe, n_top),
	PLACE(gyre_cqe, time_ns),
	PLACE(gyre_cqe, bytes),

	sizeof(struct abi_client_page),
	PLACE(abi_client_page, sq_tail),
	PLACE(abi_client_page, cq_head),
	PLACE(abi_client_page, parked),

	sizeof(struct abi_daemon_page),
	PLACE(abi_daemon_page, magic),
	PLACE(abi_daemon_page, version),
	PLACE(abi_daemon_page, layout_hash),
	PLACE(abi_daemon_page, sq_entries),
	PLACE(abi_daemon_page, cq_entries),
	PLACE(abi_daemon_page, sqe_off),
	PLACE(abi_daemon_page, arena_off),
	PLACE(abi_daemon_page, arena_bytes),
	PLACE(abi_daemon_page, cqe_off),
	PLACE(abi_daemon_page, result_off),
	PLACE(abi_daemon_page, generation),
	PLACE(abi_daemon_page, sq_head),
	PLACE(abi_daemon_page, cq_tail),
	PLACE(abi_daemon_page, need_wakeup),
	PLACE(abi_daemon_page, n_request),
	PLACE(abi_daemon_page, n_token_prompt),
	PLACE(abi_daemon_page, n_token_generated),
	PLACE(abi_daemon_page, n_token_cached),
	PLACE(abi_daemon_page, n_cancelled),
	PLACE(abi_daemon_page, step_ns),

	sizeof(struct abi_hello),
	PLACE(abi_hello, sq_entries),
	PLACE(abi_hello, cq_entries),
	PLACE(abi_hello, arena_bytes),
	PLACE(abi_hello, model),
	sizeof(struct gyre_limits),
	PLACE(gyre_limits, arena_bytes),
	PLACE(gyre_limits, n_session),
	PLACE(gyre_limits, n_request),
	PLACE(gyre_limits, n_position),
	PLACE(gyre_limits, tokens_a_second),
	PLACE(gyre_limits, priority),
	PLACE(gyre_limits, n_pinned),
	sizeof(struct abi_welcome),
	PLACE(abi_welcome, res),
	PLACE(abi_welcome, client_bytes),
	PLACE(abi_welcome, daemon_bytes),
	PLACE(abi_welcome, n_vocab),
	PLACE(abi_welcome, n_ctx),
	PLACE(abi_welcome, bos),
	PLACE(abi_welcome, eos),
	PLACE(abi_welcome, n_embd),
	PLACE(abi_welcome, has_chat),
	PLACE(abi_welcome, model),
	PLACE(abi_welcome, title),
	PLACE(abi_welcome, limits),
	PLACE(abi_welcome, text),
	sizeof(struct abi_query),
	PLACE(abi_query, what),
	PLACE(abi_query, name),
};

uint64_t abi_layout_hash(void)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++)
		for (unsigned shift = 0; shift < 32; shift += 8)
			h = (h ^ (layout[i] >> shift & 0xff)) * 0x100000001b3u;
	return h;
}
