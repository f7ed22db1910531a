/*
 * Why: every process of the host may open the socket. Whatever it then does costs itself an errno or its session, and nobody
 * else one bit: an innocent's stream stays what it was alone, and every block, request and descriptor comes back.
 */
#include "shm/atomic.h"
#include "tests/daemon/appliance.h"
#include "tests/util/hostile.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define WAIT_NS 300000000000ull
#define N_TOKEN 60

static struct appliance a;

static int setup(void **state)
{
	char *extra[] = { (char *)"--threads", *state, (char *)"--replicas", *state, (char *)"--drain-seconds",
			  (char *)"5",         NULL };

	appliance_open(&a, &tiny_served, extra, true);
	return 0;
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static uint64_t stat_of(struct gyre *g, const char *key)
{
	char text[2048], word[64];
	const char *at;

	assert_true(gyre_query_stats(g, text, sizeof(text)) > 0);
	snprintf(word, sizeof(word), "\"%s\":", key);
	at = strstr(text, word);
	assert_non_null(at);
	return strtoull(at + strlen(word), NULL, 10);
}

static void wait_for(struct gyre *g, const char *key, uint64_t value)
{
	for (int i = 0; i < 30000 && stat_of(g, key) != value; i++)
		usleep(10000);
	assert_int_equal(stat_of(g, key), value);
}

/* What the control thread had to do before a question is done when it answers; what it hands over is mail until a leader reads it. */
static bool is_settled(struct gyre *g)
{
	const struct handover *h = &a.d.intake.handover;

	(void)stat_of(g, "sessions");
	if (handover_has_mail(h) || load_acquire64((const uint64_t *)&h->detached))
		return false;
	return stat_of(g, "sessions") == 1 && stat_of(g, "live") == 0 &&
	       stat_of(g, "kv_blocks_free") == stat_of(g, "kv_blocks");
}

/* A connection that comes last: those before it have been seen, even of clients that have gone. */
static void settle(struct gyre *g)
{
	struct gyre *last = NULL;

	for (int i = 0; i < 30000 && gyre_connect(&last, a.socket, NULL) == -EUSERS; i++)
		usleep(10000);
	gyre_close(last);
	for (int i = 0; i < 30000; i++) {
		if (is_settled(g))
			return;
		usleep(10000);
	}
	fail_msg("sessions, requests or blocks are left");
}

static int teardown(void **state)
{
	(void)state;
	appliance_close(&a);
	return 0;
}

struct stream {
	int32_t token[N_TOKEN];
	float logprob[N_TOKEN];
};

static void submit(struct gyre *g, uint32_t max)
{
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	assert_non_null(sqe);
	assert_int_equal(gyre_prep_generate(g, sqe, "an innocent question", 20, max), 0);
	sqe->flags |= GYRE_SQE_IGNORE_EOS;
	assert_int_equal(gyre_submit(g), 1);
}

static void read_stream(struct gyre *g, struct stream *s, uint32_t max)
{
	const struct gyre_cqe *cqe;
	uint32_t n = 0;

	memset(s, 0, sizeof(*s));
	for (bool more = true; more; gyre_cqe_seen(g, cqe)) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_true(cqe->res >= 0);
		more = cqe->flags & GYRE_CQE_MORE;
		if (more && cqe->token >= 0) {
			s->token[n] = cqe->token;
			s->logprob[n++] = cqe->logprob;
		}
	}
	assert_int_equal(n, max);
}

static void nobody_harms_another(void **state)
{
	struct gyre *g = appliance_connect(&a, NULL);
	struct stream want, got;
	uint64_t seed = 1;
	int n_fd;

	(void)state;
	submit(g, N_TOKEN);
	read_stream(g, &want, N_TOKEN);
	settle(g);
	n_fd = count_fds();
	for (int i = 0; i < 60; i++) {
		submit(g, N_TOKEN);
		for (int k = 0; k < 12; k++)
			hostile_act(a.socket, &seed, 2000);
		read_stream(g, &got, N_TOKEN);
		assert_memory_equal(&got, &want, sizeof(want));
	}
	settle(g);
	assert_int_equal(count_fds(), n_fd);
	gyre_close(g);
}

static void expect_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte[512];

	assert_int_equal(poll(&p, 1, 300000), 1);
	assert_true(recv(fd, byte, sizeof(byte), MSG_DONTWAIT) <= 0);
}

/* Messages that are none end the connection, before and after the hello. */
static void garbage_ends_the_connection(void **state)
{
	static const size_t n[] = { 0, 1, 8, 47, 49, 255, 256, 500 };
	const struct abi_hello hello = raw_hello();
	struct raw w;
	char bytes[512] = { 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		int fd = raw_connect(a.socket);

		assert_int_equal(send(fd, bytes, n[i], MSG_NOSIGNAL), n[i]);
		expect_end(fd);
		close(fd);
		assert_int_equal(raw_open(&w, a.socket, &hello), 0);
		assert_int_equal(send(w.fd, bytes, n[i], MSG_NOSIGNAL), n[i]);
		expect_end(w.fd);
		raw_close(&w);
	}
	assert_int_equal(raw_open(&w, a.socket, &hello), 0);
	send(w.fd, &hello, sizeof(hello), MSG_NOSIGNAL); /* once is enough */
	expect_end(w.fd);
	raw_close(&w);
}

static void a_wrong_hello_is_told_why(void **state)
{
	struct abi_hello h = raw_hello();
	struct raw w;

	(void)state;
	h.layout_hash ^= 1;
	assert_int_equal(raw_open(&w, a.socket, &h), -EPROTO);
	assert_non_null(strstr(w.welcome.text, "install the libgyre"));
	raw_close(&w);
	h = raw_hello();
	h.version++;
	assert_int_equal(raw_open(&w, a.socket, &h), -EPROTO);
	raw_close(&w);
	h = raw_hello();
	h.reserved[4] = 1;
	assert_int_equal(raw_open(&w, a.socket, &h), -EINVAL);
	raw_close(&w);
	h = raw_hello();
	h.cq_entries = 100;
	assert_int_equal(raw_open(&w, a.socket, &h), -EINVAL);
	assert_non_null(strstr(w.welcome.text, "powers of two"));
	raw_close(&w);
	h = raw_hello();
	h.arena_bytes = GYRE_ARENA_BYTES_MAX + 1;
	assert_int_equal(raw_open(&w, a.socket, &h), -EINVAL);
	raw_close(&w);
}

static void a_lying_counter_ends_the_session(void **state)
{
	const struct abi_hello h = raw_hello();
	struct raw w;

	(void)state;
	for (int i = 0; i < 4; i++) {
		static const uint32_t lie[] = { 65, UINT32_MAX };

		assert_int_equal(raw_open(&w, a.socket, &h), 0);
		store_release(i < 2 ? &w.region.client->sq_tail : &w.region.client->cq_head, lie[i % 2]);
		write(w.event_fd, &(uint64_t){ 1 }, 8) < 0 ? abort() : (void)0;
		expect_end(w.fd);
		raw_close(&w);
	}
}

/* One entry each of 64, in a ring of 64, for a completion ring of 8: all are answered, in pieces as room allows. */
static void a_ring_filled_to_the_brim_is_served(void **state)
{
	struct gyre_params p = { .cq_entries = 8 };
	struct gyre *g = appliance_connect(&a, &p);
	const struct gyre_cqe *cqe;
	int n_end = 0, n_token = 0;

	(void)state;
	for (int i = 0; i < 64; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(g);

		assert_non_null(sqe);
		if (i % 2)
			continue; /* a NOP */
		assert_int_equal(gyre_prep_generate(g, sqe, "x", 1, 3), 0);
		sqe->flags |= GYRE_SQE_IGNORE_EOS;
	}
	assert_null(gyre_get_sqe(g));
	assert_int_equal(gyre_submit(g), 64);
	for (; n_end < 64; gyre_cqe_seen(g, cqe)) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_true(cqe->res >= 0);
		n_token += (cqe->flags & GYRE_CQE_MORE) && cqe->token >= 0;
		n_end += !(cqe->flags & GYRE_CQE_MORE);
	}
	assert_int_equal(n_token, 3 * 32);
	gyre_close(g);
}

/* Both ends of every session live in this process. */
static bool has_file_limit(rlim_t n)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return false;
	l.rlim_cur = l.rlim_cur < n ? n : l.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &l) == 0)
		return true;
	printf("skip: needs %u file descriptors (ulimit -Hn)\n", (unsigned)n);
	return false;
}

#define N_OWN (INTAKE_SESSION_MAX / 2) /* of one uid, beside which nobody has any */

/* Another user finds room, whatever the first has opened. */
static void another_uid_is_let_in(void)
{
	struct stream s;
	struct gyre *g;

	if (geteuid() != 0) {
		printf("skip: another uid's session needs root\n");
		return;
	}
	assert_int_equal(chmod(a.dir, 0711) | chmod(a.socket, 0666), 0);
	assert_int_equal(seteuid(65534), 0);
	g = appliance_connect(&a, NULL);
	assert_int_equal(seteuid(0), 0);
	submit(g, 4);
	read_stream(g, &s, 4);
	gyre_close(g);
}

/* All the sessions that a uid can have, each with a stream; the next one is told, and a closed one makes room. */
static void every_session_is_served_and_one_more_is_told(void **state)
{
	struct gyre_params small = { .sq_entries = 1, .cq_entries = 8, .arena_bytes = GYRE_ARENA_BYTES_MIN };
	static struct gyre *g[N_OWN];
	char why[256] = "";
	struct gyre_params told = { .error = why, .error_bytes = sizeof(why) };
	struct stream want, got;
	struct gyre *more;

	(void)state;
	if (!has_file_limit(N_OWN * 8 + 100))
		skip();
	for (uint32_t i = 0; i < N_OWN; i++)
		g[i] = appliance_connect(&a, &small);
	assert_int_equal(gyre_connect(&more, a.socket, &told), -EUSERS);
	assert_non_null(strstr(why, "has 1024 of gyred's 2048 sessions"));
	another_uid_is_let_in();
	for (uint32_t i = 0; i < N_OWN; i++)
		submit(g[i], 4);
	for (uint32_t i = 0; i < N_OWN; i++) {
		read_stream(g[i], i ? &got : &want, 4);
		assert_memory_equal(i ? &got : &want, &want, sizeof(want));
	}
	for (uint32_t i = 1; i < N_OWN; i++)
		gyre_close(g[i]);
	settle(g[0]);
	more = appliance_connect(&a, NULL);
	gyre_close(more);
	gyre_close(g[0]);
}

#define N_GREEDY 10

/* As many requests as its ring has entries. Its completions stay unread, and there is no room for all of one answer: none ends. */
static struct gyre *be_greedy(void)
{
	struct gyre_params p = { .sq_entries = 512, .cq_entries = 512 };
	struct gyre *g = appliance_connect(&a, &p);

	for (int i = 0; i < 512; i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(g);

		assert_int_equal(gyre_prep_generate(g, sqe, "x", 1, 600), 0);
		sqe->flags |= GYRE_SQE_IGNORE_EOS;
		sqe->user_data = 1;
	}
	assert_int_equal(gyre_submit(g), 512);
	return g;
}

/* Whoever holds all they can get, a session's request is taken; one uid gets half of what is shared, in however many sessions. */
static void the_greedy_keep_nobody_out(void **state)
{
	struct gyre *g = appliance_connect(&a, NULL), *greedy[N_GREEDY];
	const uint32_t n_shared = BATCH_SEQ_MAX * a.d.models.served[0].n_engine;
	const struct gyre_cqe *cqe;
	struct gyre_sqe *sqe;
	struct stream want, got;

	(void)state;
	submit(g, N_TOKEN);
	read_stream(g, &want, N_TOKEN);
	settle(g);
	greedy[0] = be_greedy();
	wait_for(g, "live", n_shared / 2 + 1);
	for (int i = 1; i < N_GREEDY; i++)
		greedy[i] = be_greedy();
	wait_for(g, "live", n_shared / 2 + N_GREEDY); /* half for all of a uid, and one each */
	for (int i = 0; i < 3; i++) {
		submit(g, N_TOKEN);
		read_stream(g, &got, N_TOKEN);
		assert_memory_equal(&got, &want, sizeof(want));
	}
	/* What is beyond the share was refused, so a CANCEL is not behind it. */
	sqe = gyre_get_sqe(greedy[0]);
	assert_non_null(sqe);
	gyre_prep_cancel(sqe, 1);
	sqe->user_data = 2;
	assert_int_equal(gyre_submit(greedy[0]), 1);
	for (bool is_answered = false; !is_answered; gyre_cqe_seen(greedy[0], cqe)) {
		assert_int_equal(gyre_wait_cqe(greedy[0], &cqe, WAIT_NS), 0);
		is_answered = cqe->user_data == 2;
		assert_true(!is_answered || (uint32_t)cqe->res == n_shared / 2 + 1);
	}
	for (int i = 0; i < N_GREEDY; i++)
		gyre_close(greedy[i]);
	settle(g);
	gyre_close(g);
}

/* Text that is no UTF-8, and a prompt longer than the context: an errno each. */
static void odd_prompts_get_an_errno(void **state)
{
	static char text[TINY_SERVED_CTX * 20];
	struct gyre *g = appliance_connect(&a, NULL);
	const struct gyre_cqe *cqe;
	static const struct {
		size_t n;
		int res;
	} want[] = { { 1, 0 }, { 0, -EINVAL }, { TINY_SERVED_CTX, -E2BIG }, { sizeof(text), -E2BIG } };

	(void)state;
	memset(text, 0xff, sizeof(text));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct gyre_sqe *sqe = gyre_get_sqe(g);

		assert_int_equal(gyre_prep_generate(g, sqe, text, want[i].n, 1), 0);
		gyre_submit(g);
		for (bool more = true; more; gyre_cqe_seen(g, cqe)) {
			assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
			more = cqe->flags & GYRE_CQE_MORE;
			if (!more)
				assert_int_equal(cqe->res, want[i].res);
		}
	}
	gyre_close(g);
}

/* Cancelled while the helper thread has its text: CANCEL said one, so the request ends as cancelled, and without its ids. */
static void a_cancelled_text_is_not_answered(void **state)
{
	struct gyre *g = appliance_connect(&a, NULL);
	const struct gyre_cqe *cqe;
	static char text[400 * 12 + 1]; /* over 4 KiB, and 400 tokens */
	struct gyre_sqe *sqe = gyre_get_sqe(g);

	(void)state;
	for (int i = 0; i < 400; i++)
		memcpy(text + i * 12, "<|im_start|>", 13);
	assert_int_equal(gyre_prep_tokenize(g, sqe, text, sizeof(text) - 1), 0);
	sqe->flags |= GYRE_SQE_SPECIAL;
	sqe->user_data = 1;
	sqe = gyre_get_sqe(g);
	gyre_prep_cancel(sqe, 1);
	sqe->user_data = 2;
	assert_int_equal(gyre_submit(g), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(gyre_wait_cqe(g, &cqe, WAIT_NS), 0);
		assert_int_equal(cqe->flags & GYRE_CQE_MORE, 0);
		assert_int_equal(cqe->res, cqe->user_data == 2 ? 1 : -ECANCELED);
		gyre_cqe_seen(g, cqe);
	}
	gyre_close(g);
}

#define CASE(test, n) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, (char *)n)
#define CASES(n)                                                                                                 \
	CASE(nobody_harms_another, n), CASE(garbage_ends_the_connection, n), CASE(a_wrong_hello_is_told_why, n), \
		CASE(a_lying_counter_ends_the_session, n), CASE(a_ring_filled_to_the_brim_is_served, n),         \
		CASE(every_session_is_served_and_one_more_is_told, n), CASE(the_greedy_keep_nobody_out, n),      \
		CASE(odd_prompts_get_an_errno, n), CASE(a_cancelled_text_is_not_answered, n)

/* With one engine, and with two behind the same rings. */
int main(void)
{
	const struct CMUnitTest tests[] = { CASES("1"), CASES("2") };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
