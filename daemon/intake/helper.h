/*
 * Long prompts and chats are read by helper threads, a model's own, because that would take longer than a step may wait. A job is a prompt with a
 * private copy of the client's bytes. Users take turns, and one has one job read at a time: with a thread more than users that
 * send long text, nobody waits for another's text. Slots are shared as sessions are: a user has another one while it
 * leaves more to others than it holds.
 */
#ifndef GYRE_DAEMON_INTAKE_HELPER_H
#define GYRE_DAEMON_INTAKE_HELPER_H

#include "daemon/prompt/chat.h"
#include "daemon/prompt/prompt.h"

#include <pthread.h>

#define HELPER_JOB_MAX     8u
#define HELPER_SHORT_BYTES 4096u /* what the threads for short texts read: 0.1 ms, 1.3 at the worst */
#define HELPER_SHORT       2u    /* threads for short texts, */
#define HELPER_THREAD_MAX  4u    /* and, less urgent than the team, for any */
#define HELPER_NICE        10

enum helper_job_state { HELPER_JOB_FREE, HELPER_JOB_FILLING, HELPER_JOB_QUEUED, HELPER_JOB_READING, HELPER_JOB_DONE };

struct helper_job {
	uint32_t state; /* atomic; a thread stores READING and DONE (under the lock; release), the watch the others */
	struct user *user;
	struct request *request;
	struct gyre_sqe sqe; /* the one copy */
	uint64_t came_ns;
	struct sampling sampling;
	uint8_t *data; /* [text_max] */
	uint32_t n;    /* bytes that have been copied */
	uint64_t number;
	int res;
};

struct helper;

struct helper_thread {
	struct helper *helper;
	struct prompt_reader reader;
	struct chat_reader chat;
	pthread_t thread;
	bool is_running, is_short;
	uint32_t is_reading; /* atomic: it has a job */
};

struct helper {
	struct helper_thread thread[HELPER_THREAD_MAX];
	struct helper_job job[HELPER_JOB_MAX];
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool is_stopping;        /* under the lock, as the next three */
	uint64_t n_turn, n_job;  /* begun; submitted */
	uint64_t turn[USER_MAX]; /* when a user's last one was */
	uint32_t *n_done;        /* atomic, intake's: jobs for helper_finished, of all models */
	int wake_fd;             /* intake's own eventfd */
};

/* n_done and wake_fd are intake's. 0 or -errno, and nothing is left. */
int helper_init(struct helper *h, const struct served *served, uint32_t *n_done, int wake_fd);
void helper_deinit(struct helper *h);

/* A job for u, to be filled; NULL: it has its share, or all are in use. */
struct helper_job *helper_get(struct helper *h, struct user *u);
void helper_submit(struct helper *h, struct helper_job *job);
/* A finished job, or NULL. */
struct helper_job *helper_finished(struct helper *h);
/* Nobody has a job. At a moment when none can be had. */
bool helper_is_idle(const struct helper *h);
/* One that is finished, or has not been submitted. */
void helper_put(struct helper *h, struct helper_job *job);

/* Any thread, and without the lock, which a thread that stands may have. Whether thread i has a job, and the CPU time it has used. */
bool helper_is_reading(const struct helper *h, uint32_t i, uint64_t *cpu_ns);
/* Whether a job waits for a thread. */
bool helper_has_queued(const struct helper *h);

/* Pure, under the lock: the job to read next by a thread for short texts, or any; NULL: none. */
struct helper_job *helper_choose(struct helper *h, bool is_short);

#endif
