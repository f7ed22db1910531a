/*
 * Every byte that gyred and its clients share. This is the only file that defines them; abi.c hashes the layout, and a
 * library built against another one is refused at the handshake.
 *
 * A session is one AF_UNIX SOCK_SEQPACKET connection and two memfds made, sized and sealed by the daemon:
 *   client region   written by the client, mapped read-only by the daemon:   struct abi_client_page, SQEs, arena
 *   daemon region   written by the daemon, mapped read-only by the client:   struct abi_daemon_page, CQEs, result slots
 * Every shared field has one writer. Fixed-width integers, offsets and never pointers, reserved fields are zero and checked.
 * Counters run free (mod 2^32); entries are powers of two; slot = counter & (entries - 1).
 *
 * Lifetimes follow from the counters: when the SQ head has passed an entry its piece of the arena is free again; when the
 * CQ head has passed a completion its result slot is free again.
 */
#ifndef GYRE_SHM_ABI_H
#define GYRE_SHM_ABI_H

#include <assert.h>
#include <stdint.h>

#define ABI_LINE __attribute__((aligned(64))) /* opens a cache line; C and C++ spell alignas differently */

#define GYRE_ABI_MAGIC   0x65727967u /* "gyre" */
#define GYRE_ABI_VERSION 4u

#define GYRE_SQ_ENTRIES_MAX      4096u
#define GYRE_CQ_ENTRIES_MAX      8192u
#define GYRE_SQ_ENTRIES_DEFAULT  64u
#define GYRE_CQ_ENTRIES_DEFAULT  256u
#define GYRE_ARENA_BYTES_MIN     65536u
#define GYRE_ARENA_BYTES_DEFAULT 1048576u
#define GYRE_ARENA_BYTES_MAX     (1u << 28) /* with the largest SQ still far below 2^32: offsets are u32 */
#define GYRE_RESULT_SLOT_BYTES   1024u      /* one per CQE: 512 token bytes, then up to 64 top-n pairs */
#define GYRE_RESULT_TEXT_BYTES   512u
#define GYRE_WORDS_MAX           256u /* bytes of the words that a failed request's completion carries */
#define GYRE_TOP_MAX             20u
#define GYRE_CQE_INLINE_BYTES    24u
#define GYRE_STOP_MAX            8u    /* stop strings a request */
#define GYRE_STOP_BYTES_MAX      128u  /* bytes of one */
#define GYRE_BIAS_MAX            256u  /* logit biases a request */
#define GYRE_MESSAGE_MAX         1024u /* chat messages a request, variables included */
#define GYRE_NAME_MAX            64u   /* bytes of a model's name, the final NUL included */
#define GYRE_KEEP_MS_MAX         3600000u

enum gyre_op {
	GYRE_OP_NOP = 0,
	GYRE_OP_GENERATE = 1,
	GYRE_OP_SCORE = 2, /* log-probabilities of the continuation data[split..) given data[..split) */
	GYRE_OP_EMBED = 3, /* a vector for the whole of data: options.pooling */
	GYRE_OP_TOKENIZE = 4,
	GYRE_OP_PREFILL = 5,    /* reads a prompt and answers nothing: later requests begin from it (KEEP, PIN, FORK) */
	GYRE_OP_CANCEL = 6,     /* target = user_data of the requests to cancel, or to keep no longer; res = how many */
	GYRE_OP_DETOKENIZE = 7, /* data is u32 token ids; their bytes */
};

/* SQE flags; which of them an operation takes, daemon/op/ says */
#define GYRE_SQE_TOKENS      0x0001u /* data is u32 token ids, not text */
#define GYRE_SQE_CHAT        0x0002u /* data is chat messages: struct gyre_message … */
#define GYRE_SQE_SPECIAL     0x0004u /* control tokens in the text are recognised; with CHAT: in the messages, too */
#define GYRE_SQE_NO_BOS      0x0008u /* the model's BOS is not prepended; one that a chat template writes stays */
#define GYRE_SQE_WHOLE_CHARS 0x0010u /* a completion never ends inside a UTF-8 character, but for GYRE_CQE_HALF */
#define GYRE_SQE_IGNORE_EOS  0x0020u /* generate up to max_tokens */
#define GYRE_SQE_LINK        0x0040u /* the next entry begins when this one has ended well; if it fails, that is cancelled */
#define GYRE_SQE_KEEP        0x0080u /* once ended it is kept for keep_ms: others may FORK it; CANCEL lets go of it */
#define GYRE_SQE_FORK \
	0x0100u /* it goes on from `target`, as if data followed that one's tokens; split says from where */
#define GYRE_SQE_PIN  0x0200u /* with KEEP: nobody is given its KV memory while it is kept */
#define GYRE_SQE_ECHO 0x0400u /* a completion for each token of the prompt but the first, with its log-probability */

#define GYRE_FORK_PROMPT UINT32_MAX /* split of a FORK: from the end of its prompt; 0: of all that it has */

/* CQE flags */
#define GYRE_CQE_MORE 0x01u /* another completion of this request follows */
#define GYRE_CQE_EXT  0x02u /* the bytes are in the result slot, not inline */
#define GYRE_CQE_TOP  0x04u /* n_top pairs lie in the result slot at GYRE_RESULT_TEXT_BYTES */
#define GYRE_CQE_STOP 0x08u /* ended by a stop string or an end token (res = 0), not by max_tokens (res = 0, no STOP) */
/* Last completion of GENERATE, SCORE, EMBED and PREFILL: index = prompt tokens; token = tokens generated; res, if it is no -errno, how
 * many of the prompt's tokens were not read, because what they give was there (the prefix cache, a FORK). */
#define GYRE_CQE_PROMPT 0x10u

#define GYRE_CQE_HALF \
	0x20u /* WHOLE_CHARS, last completion: its bytes begin a character, inside which the stream ended */

#define GYRE_CQE_DRAFTED 0x80u /* its token had been guessed */
#define GYRE_CQE_ECHO    0x40u /* its token is one of the prompt's: index is its position */

/* What EMBED makes of the vectors of all tokens, as the last norm leaves them. */
enum gyre_pooling {
	GYRE_POOLING_DEFAULT = 0, /* what the model's file says, else the last */
	GYRE_POOLING_MEAN = 1,
	GYRE_POOLING_LAST = 2,
	GYRE_POOLING_CLS = 3, /* the first */
	GYRE_POOLING_KINDS = 4,
};
#define GYRE_POOLING_RAW 0x100u /* beside one of these: not divided by its length */

/* Where guesses at the next tokens may come from. They change no token, only how many come in a step. */
enum gyre_draft {
	GYRE_DRAFT_DEFAULT = 0, /* as gyred has it */
	GYRE_DRAFT_NONE = 1,
	GYRE_DRAFT_LOOKUP = 2, /* its own prompt and answer */
	GYRE_DRAFT_AUTO = 3,   /* and what its user was answered lately */
};

enum gyre_role {
	GYRE_ROLE_SYSTEM = 0,
	GYRE_ROLE_USER = 1,
	GYRE_ROLE_ASSISTANT = 2,
	GYRE_ROLE_TOOL = 3,
	GYRE_ROLE_DEVELOPER = 4,
	GYRE_ROLE_VARIABLES = 5, /* no message: its json holds variables of the template */
};

/*
 * GYRE_SQE_CHAT: the model's own chat template is run over messages, each this header, text[n_text], json[n_json], zeroes up to a
 * multiple of 8. The template sees { "role", "content": text } with the members of json, an object, merged in: tool_calls,
 * tool_call_id, name, reasoning_content, content as a list of parts (then n_text is 0), even another "role". Without text, a
 * message whose json has tool_calls and no content has none as content.
 *
 * GYRE_ROLE_VARIABLES, if there, is the first, without text: tools, documents, add_generation_prompt (true unless given), and
 * whatever else the template reads: enable_thinking, say. Not for a client to set: messages, and bos_token and its like.
 * continue_final_message: true has the model go on with the last message: the prompt ends where its content does.
 */
struct gyre_message {
	uint32_t role; /* enum gyre_role */
	uint32_t n_text, n_json;
	uint32_t reserved; /* 0 */
};

struct gyre_sqe {
	uint8_t opcode;
	uint8_t priority; /* among requests of its user: 0 highest; 128 default by libgyre */
	uint16_t flags;
	uint32_t max_tokens; /* GENERATE: 0 = up to the context */
	uint64_t user_data;
	uint32_t data_off; /* in the arena */
	uint32_t data_len;
	uint32_t opts_off;    /* struct gyre_options in the arena, 8-aligned */
	uint32_t opts_len;    /* 0: defaults (greedy) */
	uint64_t target;      /* CANCEL, FORK: user_data; of several that have it, FORK means the one that came last */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC, 0 = none; past it the request ends with -ETIME */
	uint32_t
		split; /* SCORE: where in data the continuation begins; FORK: tokens of the target, or GYRE_FORK_PROMPT */
	uint32_t keep_ms; /* KEEP: how long after its end */
	uint64_t reserved;
};

/*
 * A stop string ends the stream where it begins: in the text as shown, or in that text with the control tokens' own texts in it,
 * which are not shown without GYRE_SQE_SPECIAL. With GYRE_SQE_IGNORE_EOS it still does.
 *
 * Per-request options: this header, then n_bias × struct gyre_bias, then n_stop × { u32 n; u8 bytes[n]; pad to 4 }.
 * Zeroes mean "off" throughout: temperature 0 is greedy, top_k 0, top_p 0 or 1, min_p 0, repetition_penalty 0 or 1.
 */
struct gyre_options {
	uint32_t size;  /* sizeof(struct gyre_options) */
	uint32_t n_top; /* alternatives reported with each token, <= GYRE_TOP_MAX */
	float temperature;
	float top_p;
	float min_p;
	float repetition_penalty;
	float presence_penalty;
	float frequency_penalty;
	uint32_t top_k;
	uint32_t penalty_last_n; /* window of the penalties; 0: 64 */
	uint64_t seed;
	uint32_t n_bias;
	uint32_t n_stop;
	uint32_t pooling; /* EMBED: enum gyre_pooling, GYRE_POOLING_RAW */
	uint32_t draft;   /* enum gyre_draft */
};

struct gyre_bias {
	uint32_t token;
	float bias;
};

struct gyre_cqe {
	uint64_t user_data;
	/* >= 0, or -errno: the request has ended, or none was made of the entry, and the bytes, unless GYRE_CQE_HALF, say why: one line of
	 * UTF-8, at most GYRE_WORDS_MAX bytes, with the numbers that decided and the remedy. Only -ECANCELED by a CANCEL comes without. -EDOM: the
	 * model gave a NaN or an infinity. */
	int32_t res;
	uint32_t flags;
	uint32_t index; /* in the stream; on the last completion: prompt tokens */
	int32_t token;  /* id; -1: no token; on the last completion: tokens generated */
	float logprob;  /* natural log, of the model's distribution after bias and penalties, at temperature 1 */
	uint16_t n_bytes;
	uint16_t n_top;
	uint64_t time_ns; /* CLOCK_MONOTONIC when the token was sampled */
	uint8_t bytes[GYRE_CQE_INLINE_BYTES];
};
/* Bytes of a token that one completion has no room for follow in further ones with token -1; so do, at the end, the bytes held back
 * for a stop string that did not come. The bytes of all completions in order, the last one's too, are the bytes of the stream.
 * TOKENIZE completes in pieces: res = ids in this piece, u32[res] at the start of the result slot (GYRE_CQE_EXT); the last has no MORE.
 * So does DETOKENIZE, with bytes; and EMBED with the vector's f32 before its last completion.
 * SCORE: one completion a continuation token like GENERATE's, then the last: logprob = their sum. */

struct gyre_top {
	uint32_t token;
	float logprob;
};

/* First page of the client region. Writer: client. */
struct abi_client_page {
	ABI_LINE uint32_t sq_tail; /* store-release after the SQEs; pairs with the daemon's load-acquire in its drain */
	ABI_LINE uint32_t
		cq_head; /* store-release after the CQE was read; pairs with the daemon's load before it reuses the slot */
	ABI_LINE uint32_t parked; /* 1: waits on the futex of cq_tail; 2: wants a message on the socket; 0: spins */
	uint8_t pad[4096 - 2 * 64 - 4];
};

/* First page of the daemon region. Writer: daemon. The client trusts it no more than it must: it copies the geometry once. */
struct abi_daemon_page {
	ABI_LINE uint32_t magic;
	uint32_t version;
	uint64_t layout_hash;
	uint32_t sq_entries, cq_entries;
	uint32_t sqe_off, arena_off; /* in the client region */
	uint32_t arena_bytes;
	uint32_t cqe_off, result_off;  /* in the daemon region */
	uint32_t generation;           /* raised by a daemon that adopts the session */
	ABI_LINE uint32_t sq_head;     /* store-release once an entry and its arena bytes are taken */
	ABI_LINE uint32_t cq_tail;     /* store-release after the CQE; futex word of parked clients */
	ABI_LINE uint32_t need_wakeup; /* 1: the daemon sleeps; ring the doorbell after submitting */
	ABI_LINE uint64_t n_request;   /* live counters of the session */
	uint64_t n_token_prompt;
	uint64_t n_token_generated;
	uint64_t n_token_cached; /* of prompts: those that were not read */
	uint64_t n_cancelled;
	uint64_t step_ns; /* duration of the last step */
	uint8_t pad[4096 - 4 * 64 - 48];
};

/*
 * What a user may have, and what a session's user has been told in its welcome. 0: no limit but what all users share. Each is refused
 * with an errno of its own, beside it; so is a model that the user may not have: with -EACCES.
 */
struct gyre_limits {
	uint64_t arena_bytes; /* rings and arenas of all its sessions; welcome: -EDQUOT */
	uint32_t n_session;   /* sessions; welcome: -EUSERS */
	uint32_t
		n_request; /* requests under way, of all its sessions: -EMLINK; without a quota, how many it gets alone */
	uint32_t n_position;      /* positions of keys and values that these hold at once; more for one alone: -EFBIG */
	uint32_t tokens_a_second; /* read and generated, over ten seconds: -EAGAIN, and the words say until when */
	uint32_t priority;        /* no request may be before this one: -EPERM */
	uint32_t n_pinned;        /* positions that its requests may pin (GYRE_SQE_PIN): -EDQUOT */
};

/* Handshake, on the socket. hello: client -> daemon; welcome: back, with SCM_RIGHTS { client region, daemon region, doorbell eventfd }. */
struct abi_hello {
	uint32_t magic, version;
	uint64_t layout_hash;
	uint32_t sq_entries, cq_entries; /* powers of two; 0: default 64 / 256 */
	uint32_t arena_bytes;            /* 0: enough for the longest prompt of the context, at least 1 MiB */
	uint32_t reserved[5];
	char model
		[GYRE_NAME_MAX]; /* one of those that the daemon has, up to a NUL; "": the first in its configuration */
};

struct abi_welcome {
	uint32_t magic, version;
	uint64_t layout_hash;
	int32_t res; /* 0 or -errno; then `text` says why and what to do */
	uint32_t client_bytes, daemon_bytes;
	uint32_t n_vocab, n_ctx;
	int32_t bos, eos;
	uint32_t n_embd;           /* numbers of a vector (EMBED) */
	uint32_t has_chat;         /* 1: there is a chat template: the model's, or one that gyred was given */
	char model[GYRE_NAME_MAX]; /* the name that it has here */
	char title[128];           /* general.name or the file's name */
	struct gyre_limits limits;
	char text[256];
};

/* A message of one byte on the socket means "look at your rings" (daemon -> client); the client sends nothing but its hello and
 * struct abi_query, before or after it, each answered by one message of text. */
enum abi_query_kind {
	ABI_QUERY_STATS = 1,  /* JSON, `gyre stat`; name "sessions": with a row for each, `gyre top` */
	ABI_QUERY_MODELS = 2, /* JSON, `gyre ls` and `gyre ps` */
	ABI_QUERY_LOAD =
		3, /* name: of a model, or the path of its file; "" when it is there, or the refusal in a line */
	ABI_QUERY_UNLOAD = 4,  /* the same */
	ABI_QUERY_METRICS = 5, /* Prometheus text 0.0.4 */
	ABI_QUERY_HEALTH = 6,  /* "" when tokens move, or why not in a line */
};
#define ABI_QUERY_MAGIC    0x71727967u /* "gyrq": a hello begins with another */
#define ABI_QUERY_NAME_MAX 1024u
struct abi_query {
	uint32_t magic;                /* ABI_QUERY_MAGIC */
	uint32_t what;                 /* enum abi_query_kind */
	char name[ABI_QUERY_NAME_MAX]; /* up to a NUL; the message may end behind that */
};

#ifdef __cplusplus
extern "C" {
#endif
uint64_t abi_layout_hash(void); /* inside libgyre and gyred; not exported */
#ifdef __cplusplus
}
#endif

static_assert(sizeof(struct gyre_sqe) == 64, "one cache line");
static_assert(sizeof(struct gyre_cqe) == 64, "one cache line");
static_assert(sizeof(struct gyre_options) == 64, "options header");
static_assert(sizeof(struct gyre_message) == 16, "message header");
static_assert(sizeof(struct abi_hello) == 112, "hello");
static_assert(sizeof(struct abi_welcome) == 532 + 4, "welcome");
static_assert(sizeof(struct abi_client_page) == 4096, "one page");
static_assert(sizeof(struct abi_daemon_page) == 4096, "one page");

#endif
