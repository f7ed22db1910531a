/*
 * All that a process can send: a hello (112 bytes, a zero hash standing for the right one), then the state of its region:
 * u32 sq_tail, cq_head, parked, then SQEs for the whole ring as far as they go, then the arena. What intake makes of it must be
 * requests that the stages behind it need not doubt.
 */
#include "daemon/control/handshake.h"
#include "daemon/intake/intake.h"
#include "daemon/op/op.h"
#include "tests/fuzz/bytes_vocab.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define N_CTX     512
#define KV_BLOCK  32
#define ARENA_MAX (1u << 20) /* larger ones are slower, and nothing else */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct intake intake;
static struct queue queue;
static struct vocab *vocab;
static struct served table[SERVED_MAX];

static void require(int ok)
{
	if (!ok)
		abort();
}

static void set_up(void)
{
	const struct intake_options o = { .served = table, .block_len = KV_BLOCK };

	if (vocab)
		return;
	vocab = bytes_vocab(false);
	table[0] = (struct served){ .geometry = served_geometry(vocab_size(vocab), N_CTX, 0),
				    .vocab = vocab,
				    .chat = bytes_chat("chatml"),
				    .state = SERVED_READY,
				    .n_engine = 1,
				    .queue = { &queue } };
	queue_init(&queue, false);
	require(intake_init(&intake, &o, eventfd(0, EFD_NONBLOCK)) == 0);
	require(intake_open(&intake, table) == 0);
}

/* What sched and sample rely on. */
static void check_request(const struct request *r)
{
	require(r->kept.n_prompt <= N_CTX && r->kept.n_score <= r->kept.n_prompt && r->kept.n_token <= N_CTX);
	for (uint32_t i = 0; i < r->kept.n_token; i++)
		require((uint32_t)r->token[i] < vocab_size(vocab));
	if (r->kept.state == REQUEST_ENDED || !r->op->wants_logits)
		return;
	require(r->kept.n_token == r->kept.n_prompt);
	require(r->op == &op_embed || !r->kept.sampling.pooling);
	require(!request_is_fork(r) == !r->source);
	if (r->source) /* the rest of its tokens is another's */
		return;
	require(r->kept.n_prompt > 0 && (r->op != &op_generate || r->kept.n_prompt < N_CTX));
	require(r->op != &op_score || (r->kept.n_score > 0 && r->kept.n_score < r->kept.n_prompt));
}

/* Drains until the helper has nothing left; every request ends as soon as it is read. */
static void drain(void)
{
	do {
		intake_drain(&intake, &queue);
		for (uint32_t i = 0; i < queue.n_live; i++) {
			struct request *r = queue.live[i];

			if (r->kept.state != REQUEST_DONE) /* a client that has gone */
				check_request(r);
			request_await_no_more(&r->before);
			request_await_no_more(&r->source);
			r->kept.state = REQUEST_DONE;
			session_leave_place(r->session, r); /* as emit does */
		}
		queue_reap(&queue);
	} while (queue.done || table[0].pool.n_live);
}

static void write_region(struct region *mine, const uint8_t *data, size_t n)
{
	size_t sqe = mine->layout.sq_entries * sizeof(struct gyre_sqe);
	uint32_t word[3] = { 0 };

	memcpy(word, data, n < sizeof(word) ? n : sizeof(word));
	mine->client->sq_tail = word[0];
	mine->client->cq_head = word[1];
	mine->client->parked = word[2];
	if (n <= sizeof(word))
		return;
	data += sizeof(word);
	n -= sizeof(word);
	memcpy(region_sqe(mine), data, n < sqe ? n : sqe);
	if (n > sqe)
		memcpy(region_arena(mine), data + sqe,
		       n - sqe < mine->layout.arena_bytes ? n - sqe : mine->layout.arena_bytes);
}

static void serve(struct session *s, const uint8_t *data, size_t n)
{
	struct region mine;

	require(region_attach(&mine, dup(s->region.client_fd), dup(s->region.daemon_fd)) == 0);
	write_region(&mine, data, n);
	handover_attach(&intake.handover, s);
	drain();
	require(s->sq.tail - s->sq.head <= s->sq.entries && s->cq.tail - s->cq.head <= s->cq.entries);
	handover_detach(&intake.handover, s);
	drain();
	require(handover_take_detached(&intake.handover) == s);
	session_free(s);
	region_deinit(&mine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct abi_hello hello;
	struct session *s;
	char text[256];
	int pair[2];

	set_up();
	handshake_classify(data, n, true);
	if (n < sizeof(hello) || handshake_classify(data, sizeof(hello), false) != MESSAGE_HELLO)
		return 0;
	memcpy(&hello, data, sizeof(hello));
	if (!hello.layout_hash) {
		hello.version = GYRE_ABI_VERSION;
		hello.layout_hash = abi_layout_hash();
	}
	if (handshake_check(&hello, text, sizeof(text)) < 0 || hello.arena_bytes > ARENA_MAX)
		return 0;
	require(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	if (session_new(&s, table, pair[0], 1, &hello) == 0)
		serve(s, data + sizeof(hello), n - sizeof(hello));
	else
		close(pair[0]);
	close(pair[1]);
	return 0;
}
