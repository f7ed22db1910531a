/*
 * One user attacks a live gyred, another is honest: clients of real uids, in processes of their own. What an attacker does is a
 * function that tops a session up with entries; a crowd runs it on many sessions and counts what comes back, where all can see it.
 */
#ifndef GYRE_TESTS_HOSTILE_ATTACK_H
#define GYRE_TESTS_HOSTILE_ATTACK_H

#include "tests/system/tinyd.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define ATTACK_UID         61001
#define VICTIM_UID         61002
#define ATTACK_SESSION_MAX 255 /* what a uid may have, less one */
#define ATTACK_ARENA       (1u << 18)

/* Counted by the crowd. */
struct attack_count {
	uint64_t n_ready; /* sessions that are connected */
	uint64_t n_cqe, n_end;
};

/* Prepares the session's next entry; false: no room for it now. */
typedef bool (*attack_fn)(struct gyre *g, struct gyre_sqe *sqe);

struct crowd {
	pid_t pid;
	struct attack_count *count; /* shared */
};

static inline bool attack_is_root(void)
{
	struct rlimit l = { 4096, 4096 };

	if (geteuid() == 0 && setrlimit(RLIMIT_NOFILE, &l) == 0)
		return true;
	puts("skip: clients of other uids need root, and 4096 descriptors");
	return false;
}

static inline double attack_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline struct gyre *attack_connect(const char *socket, uint32_t cq_entries)
{
	struct gyre_params p = { .sq_entries = 64, .cq_entries = cq_entries, .arena_bytes = ATTACK_ARENA };
	struct gyre *g = NULL;

	for (int i = 0; i < 1000 && gyre_connect(&g, socket, &p) < 0; i++)
		usleep(10000);
	return g;
}

/* A session of another uid's in this process: it is the connection that counts. */
static inline struct gyre *attack_connect_as(const char *socket, uid_t uid, uint32_t cq_entries)
{
	struct gyre *g;

	assert_int_equal(seteuid(uid), 0);
	g = attack_connect(socket, cq_entries);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(g);
	return g;
}

/* Takes what has come and tops up to `most` requests under way. */
static inline void attack_turn(struct gyre *g, attack_fn prepare, uint32_t most, uint32_t *n_open,
			       struct attack_count *count)
{
	const struct gyre_cqe *cqe;
	uint32_t n = 0;

	while (gyre_peek_cqe(g, &cqe) == 0) {
		count->n_cqe++;
		if (!(cqe->flags & GYRE_CQE_MORE)) {
			count->n_end++;
			--*n_open;
		}
		gyre_cqe_seen(g, cqe);
	}
	while (*n_open < most) {
		struct gyre_sqe *sqe = gyre_get_sqe(g);

		if (!sqe)
			break;
		if (!prepare(g, sqe)) {
			gyre_unget_sqe(g);
			break;
		}
		++*n_open;
		n++;
	}
	if (n)
		gyre_submit(g);
}

static inline __attribute__((noreturn)) void attack_main(const char *socket, uint32_t n, attack_fn prepare,
							 uint32_t most, struct attack_count *count)
{
	static struct gyre *g[ATTACK_SESSION_MAX];
	static uint32_t n_open[ATTACK_SESSION_MAX];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgid(ATTACK_UID) < 0 || setuid(ATTACK_UID) < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of uid forgets it */
	for (uint32_t i = 0; i < n; i++) {
		g[i] = attack_connect(socket, GYRE_CQ_ENTRIES_DEFAULT);
		if (!g[i])
			_exit(2);
		__atomic_fetch_add(&count->n_ready, 1, __ATOMIC_RELEASE);
	}
	for (;;) {
		for (uint32_t i = 0; i < n; i++)
			attack_turn(g[i], prepare, most, &n_open[i], count);
		usleep(n > 1 ? 200 : 20); /* a core less would be all of a small host's */
	}
}

/* n sessions of the attacker's uid with up to `most` entries each; returns once all are connected. */
static inline struct crowd attack_begin(const char *socket, uint32_t n, attack_fn prepare, uint32_t most)
{
	struct crowd c = { .count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) };

	assert_true(c.count != MAP_FAILED);
	c.pid = fork();
	if (c.pid == 0)
		attack_main(socket, n, prepare, most, c.count);
	for (int i = 0; i < 30000 && __atomic_load_n(&c.count->n_ready, __ATOMIC_ACQUIRE) < n; i++)
		usleep(1000);
	assert_int_equal(c.count->n_ready, n);
	return c;
}

static inline void attack_end(struct crowd *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	munmap(c->count, 4096);
}

static inline uint64_t attack_stat(struct gyre *g, const char *key)
{
	static char text[1 << 18];
	char word[64];
	const char *at;

	assert_true(gyre_query_stats(g, text, sizeof(text)) > 0);
	snprintf(word, sizeof(word), "\"%s\":", key);
	at = strstr(text, word);
	assert_non_null(at);
	return strtoull(at + strlen(word), NULL, 10);
}

#endif
