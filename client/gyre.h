/*
 * libgyre: a process's end of gyre's rings. C11 and C++; links libc only.
 *
 *	struct gyre *g;
 *	if (gyre_connect(&g, NULL, NULL) == 0) {
 *		struct gyre_sqe *sqe = gyre_get_sqe(g);
 *		gyre_prep_generate(g, sqe, "Once upon a time", 16, 32);
 *		sqe->user_data = 1;
 *		gyre_submit(g);
 *		... gyre_wait_cqe / gyre_cqe_bytes / gyre_cqe_seen until a completion without GYRE_CQE_MORE ...
 *		gyre_close(g);
 *	}
 *
 * A struct gyre belongs to one thread at a time. Functions return 0 or a count, or -errno; none prints, exits or retries.
 * The meaning of entries and completions stands in <gyre/abi.h> and gyre(7).
 */
#ifndef GYRE_H
#define GYRE_H

#include "gyre/abi.h"

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct gyre;

/* Zeroes mean defaults throughout. */
struct gyre_params {
	uint32_t sq_entries, cq_entries; /* powers of two; 64 and 256 */
	uint32_t arena_bytes;            /* enough for the longest prompt of the context, at least 1 MiB */
	uint32_t connect_timeout_ms;     /* for the handshake; 5000 */
	const char *model; /* a name that the daemon has for one (gyre ls); NULL: the first in its configuration */
	uint64_t spin_ns;  /* spin in gyre_wait_cqe before parking; 20000. UINT64_MAX: never park */
	char *error;       /* gyre_connect's refusal in words: what is wrong, and what to do; may be NULL */
	size_t error_bytes;
};

struct gyre_info {
	char model[128];          /* what its file calls itself */
	char name[GYRE_NAME_MAX]; /* what the daemon calls it */
	uint32_t n_ctx, n_vocab;
	int32_t bos, eos;  /* -1: none */
	uint32_t n_embd;   /* numbers of a vector (EMBED) */
	uint32_t has_chat; /* GYRE_SQE_CHAT works */
	uint32_t sq_entries, cq_entries, arena_bytes;
	struct gyre_limits limits; /* of this user */
};

/* Builder of GYRE_SQE_CHAT data in the caller's memory. */
struct gyre_chat {
	void *data;     /* arena memory saves a copy */
	size_t size, n; /* capacity, bytes used */
};

#define GYRE_TIMEOUT_NONE UINT64_MAX

/*
 * Connect and shake hands. path NULL: $GYRE_SOCKET, else $XDG_RUNTIME_DIR/gyre.sock if it exists, else /run/gyre/gyre.sock.
 * p NULL: defaults. -ENOENT, -ECONNREFUSED: no daemon; -EACCES: not allowed; -ENXIO: it has no such model, or has unloaded it; -EPROTO: not a gyred of this ABI; -ETIMEDOUT;
 * else the daemon's own refusal. p->error then says what to do.
 */
int gyre_connect(struct gyre **g, const char *path, const struct gyre_params *p);
/* Ends the session: the daemon cancels requests that still run. Accepts NULL. */
void gyre_close(struct gyre *g);
/* Facts about the session; never fails. */
void gyre_info(const struct gyre *g, struct gyre_info *info);
/* The daemon's statistics as JSON text with a final NUL: its length. -ENOBUFS: size is too small. -ECONNRESET. -ETIMEDOUT. */
ssize_t gyre_query_stats(struct gyre *g, char *text, size_t size);

/*
 * Ask a daemon without a session (ABI_QUERY_…): statistics, models, whether it is well; to load a model or to unload it. The answer as
 * text with a final NUL, its length without the last newline; "" is yes. timeout_ms 0: 5000. Loading takes as long as reading the file.
 * name may be NULL. As gyre_connect, then text has the words; -ENOBUFS, -ETIMEDOUT, -ENAMETOOLONG.
 */
ssize_t gyre_query(const char *path, enum abi_query_kind what, const char *name, uint32_t timeout_ms, char *text,
		   size_t size);

/* ---- submission ---- */

/* The next entry, as a NOP of priority 128, or of the highest that this user may have; NULL when the SQ is full (the daemon has not taken the oldest). */
struct gyre_sqe *gyre_get_sqe(struct gyre *g);
/*
 * Give back the entry got last, before it is submitted: after a prep failed, say. With the last prepared entry, all arena bytes
 * taken since gyre_submit are given back, too.
 */
void gyre_unget_sqe(struct gyre *g);

/*
 * Prepare an entry; user_data and deadline_ns stay as they were, flags (GYRE_SQE_*) are for the caller to add. `data` of n bytes
 * is copied to the arena, unless it lies there already (gyre_arena_alloc). -EAGAIN: the arena is full until the daemon has taken
 * earlier entries; -EMSGSIZE: it can never fit. On error the entry is untouched.
 */
void gyre_prep_nop(struct gyre_sqe *sqe);
int gyre_prep_generate(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n, uint32_t max_tokens);
/* Log-probabilities of data[split, n) given data[0, split). -EINVAL: split > n. */
int gyre_prep_score(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n, size_t split);
/* Reads a prompt and answers nothing but its end. It is there to be kept (gyre_sqe_set_keep), or to be gone on from at once. */
int gyre_prep_prefill(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n);
/*
 * Generate after the first `at` tokens of the request of this session that has the user_data `target`, which runs or is kept, and after data,
 * which may be empty and goes on from that text. at 0: all that it has; GYRE_FORK_PROMPT: its prompt. Score: all of data.
 */
int gyre_prep_fork(struct gyre *g, struct gyre_sqe *sqe, uint64_t target, uint32_t at, const void *data, size_t n,
		   uint32_t max_tokens);
int gyre_prep_score_fork(struct gyre *g, struct gyre_sqe *sqe, uint64_t target, uint32_t at, const void *data,
			 size_t n);
/* A vector of gyre_info's n_embd numbers, in pieces (gyre_cqe_floats); which, options.pooling says (gyre_sqe_set_options). */
int gyre_prep_embed(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n);
int gyre_prep_tokenize(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n);
/* The text of n token ids: in pieces, each with the bytes (gyre_cqe_bytes) of `res`. GYRE_SQE_SPECIAL: control tokens' text, too. */
int gyre_prep_detokenize(struct gyre *g, struct gyre_sqe *sqe, const uint32_t *id, size_t n);
/*
 * A prompt that is read and kept for keep_ms, during which nobody else is given its memory: gyre_prep_prefill with GYRE_SQE_KEEP and PIN. It
 * counts in its user's quota (struct gyre_limits: n_pinned). Unpin is gyre_prep_cancel of its user_data.
 */
int gyre_prep_pin(struct gyre *g, struct gyre_sqe *sqe, const void *data, size_t n, uint32_t keep_ms);
void gyre_prep_unpin(struct gyre_sqe *sqe, uint64_t user_data);
/* End every request of this session that has `user_data`; they complete with -ECANCELED. Those that are kept are let go of. */
void gyre_prep_cancel(struct gyre_sqe *sqe, uint64_t user_data);

/* A prepared entry goes on from `target`, as gyre_prep_fork says; split is `at` from now on. */
void gyre_sqe_set_fork(struct gyre_sqe *sqe, uint64_t target, uint32_t at);
/* Once it has ended well it is kept for keep_ms, 1 to GYRE_KEEP_MS_MAX, or until gyre_prep_cancel: others may go on from it. */
void gyre_sqe_set_keep(struct gyre_sqe *sqe, uint32_t keep_ms);

/*
 * Attach options: o->n_bias entries of bias, o->n_stop strings of stop (NUL-terminated). o->size is filled in.
 * -EINVAL: more than GYRE_BIAS_MAX, GYRE_STOP_MAX, GYRE_STOP_BYTES_MAX, GYRE_TOP_MAX, or an empty stop string. -EAGAIN, -EMSGSIZE.
 */
int gyre_sqe_set_options(struct gyre *g, struct gyre_sqe *sqe, const struct gyre_options *o,
			 const struct gyre_bias *bias, const char *const *stop);

/*
 * n bytes of the arena, 8-aligned; NULL when full. They belong to the entries of the next gyre_submit and are free again when
 * the daemon has taken the last of those.
 */
void *gyre_arena_alloc(struct gyre *g, size_t n);

/* Append one message: sizeof(struct gyre_message) + n bytes up to a multiple of 8. -ENOBUFS: no room. -EINVAL: n of c, or too long. */
int gyre_chat_append(struct gyre_chat *c, enum gyre_role role, const char *text, size_t n);
/* The same with members of a JSON object merged in, as struct gyre_message says; either may be NULL with a length of 0. */
int gyre_chat_append_json(struct gyre_chat *c, enum gyre_role role, const char *text, size_t n, const char *json,
			  size_t n_json);
/* Variables of the template, a JSON object: tools, enable_thinking, … Once, before any message; -EINVAL: there are some. */
int gyre_chat_set_variables(struct gyre_chat *c, const char *json, size_t n_json);

/* Publish the prepared entries, of which the last begins no chain (GYRE_SQE_LINK): how many. What is wrong with one, its completion says (gyre_cqe_bytes). Makes a system call only if the daemon sleeps. -errno: only that call failed. */
int gyre_submit(struct gyre *g);

/* ---- completion ---- */

/* The oldest completion, which stays until gyre_cqe_seen. -EAGAIN: none. Never a system call. */
int gyre_peek_cqe(struct gyre *g, const struct gyre_cqe **cqe);
/* Wait for one. -ETIMEDOUT. -ECONNRESET: the daemon has gone, and all its completions have been read. -EINTR. */
int gyre_wait_cqe(struct gyre *g, const struct gyre_cqe **cqe, uint64_t timeout_ns);
/* Give the oldest completion, and its result slot, back. */
void gyre_cqe_seen(struct gyre *g, const struct gyre_cqe *cqe);

/*
 * The token's bytes or a DETOKENIZE piece's (not NUL-terminated), the top-n pairs, the ids of a TOKENIZE piece, the numbers of an EMBED piece; *n of
 * them. Valid until gyre_cqe_seen.
 * Where res < 0, the bytes say why in one line with the remedy, at most GYRE_WORDS_MAX: "temperature is 2000: it may be 0 to 1000".
 */
const void *gyre_cqe_bytes(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n);
const struct gyre_top *gyre_cqe_top(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n);
const uint32_t *gyre_cqe_ids(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n);
const float *gyre_cqe_floats(const struct gyre *g, const struct gyre_cqe *cqe, size_t *n);

/*
 * A descriptor that becomes readable when completions arrive, or the daemon goes; for poll, epoll, io_uring. From this call
 * on the daemon sends a message per batch of completions. Once readable: gyre_event_clear, then peek until -EAGAIN. Peek
 * once after gyre_event_fd itself, too, and after gyre_query_stats.
 */
int gyre_event_fd(struct gyre *g);
/* Take the messages off the socket. 0, or -ECONNRESET: the daemon has gone (completions already there can still be peeked). */
int gyre_event_clear(struct gyre *g);

/* ---- the blocking call for those who want none of that ---- */

/*
 * Generate up to max_tokens (0: up to the context) after a NUL-terminated prompt; o NULL: greedy; its n_bias and n_stop must be 0.
 * Writes at most size - 1 bytes and a NUL, as snprintf does: returns the bytes there were. -EBUSY: other requests are in flight.
 * Where gyred refuses or ends the request, out has its words (GYRE_WORDS_MAX); else, with an error, "".
 */
ssize_t gyre_generate(struct gyre *g, const char *prompt, const struct gyre_options *o, uint32_t max_tokens, char *out,
		      size_t size);

/* What may follow a prompt, and how likely that is. */
struct gyre_label {
	const char *text;             /* NUL-terminated */
	float logprob;                /* the sum of its tokens' */
	uint32_t n_token;             /* how many it has */
	int res;                      /* 0, or -errno */
	char why[GYRE_WORDS_MAX + 1]; /* gyred's words where res < 0 */
};

/*
 * Log-probabilities of labels that follow a prompt, which is read once. The prompt (GYRE_SQE_* of it in flags: CHAT, say) and each label are
 * tokenized apart. All of label[] but text is filled in. The first of their errors; or one of the prompt, which all have then; -EBUSY:
 * other requests are in flight. As many labels are scored at once as gyred has places for.
 */
int gyre_score_labels(struct gyre *g, const void *prompt, size_t n, uint16_t flags, struct gyre_label *label,
		      uint32_t n_label);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
