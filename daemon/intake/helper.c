#include "daemon/intake/helper.h"
#include "daemon/session/session.h"
#include "shm/atomic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static bool is_in_hand(const struct helper *h, const struct user *u)
{
	for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
		if (load_relaxed(&h->job[i].state) == HELPER_JOB_READING && h->job[i].user == u)
			return true;
	return false;
}

static bool is_before(const struct helper *h, const struct helper_job *a, const struct helper_job *b)
{
	uint64_t turn_a = h->turn[a->user->index], turn_b = h->turn[b->user->index];

	return turn_a != turn_b ? turn_a < turn_b : a->number < b->number;
}

struct helper_job *helper_choose(struct helper *h, bool is_short)
{
	struct helper_job *best = NULL;

	for (uint32_t i = 0; i < HELPER_JOB_MAX; i++) {
		struct helper_job *job = &h->job[i];

		/* Pairs with helper_submit. */
		if (load_acquire(&job->state) != HELPER_JOB_QUEUED || (is_short && job->n > HELPER_SHORT_BYTES))
			continue;
		if (!is_in_hand(h, job->user) && (!best || is_before(h, job, best)))
			best = job;
	}
	return best;
}

static struct helper_job *wait_for_job(struct helper *h, bool is_short)
{
	struct helper_job *job;

	pthread_mutex_lock(&h->lock);
	while (!(job = helper_choose(h, is_short)) && !h->is_stopping)
		pthread_cond_wait(&h->cond, &h->lock);
	if (job) {
		store_relaxed(&job->state, HELPER_JOB_READING);
		h->turn[job->user->index] = ++h->n_turn;
	}
	pthread_mutex_unlock(&h->lock);
	return job;
}

static void finish_job(struct helper *h, struct helper_job *job)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&h->lock);
	store_release(&job->state, HELPER_JOB_DONE); /* pairs with helper_finished */
	fetch_add(h->n_done, 1);
	pthread_cond_broadcast(&h->cond); /* its user's next */
	pthread_mutex_unlock(&h->lock);
	(void)!write(h->wake_fd, &one, sizeof(one));
}

/* Nobody waits for the text of a request that has been cancelled, or whose client has gone. */
static int read_job(struct helper_thread *t, struct helper_job *job)
{
	if (!request_is_cancelled(job->request) && !load_relaxed(&job->request->session->is_gone))
		return prompt_read(&t->reader, job->request, job->data, job->n, job->sqe.split);
	explicit_bzero(job->data, job->n);
	return -ECANCELED;
}

static void *helper_main(void *arg)
{
	struct helper_thread *t = arg;
	struct helper_job *job;

	pthread_setname_np(pthread_self(), "gyred-text");
	if (!t->is_short)
		setpriority(PRIO_PROCESS, (id_t)gettid(), HELPER_NICE);
	while ((job = wait_for_job(t->helper, t->is_short))) {
		store_relaxed(&t->is_reading, 1);
		job->res = read_job(t, job);
		store_relaxed(&t->is_reading, 0);
		job->n = 0; /* it has been wiped */
		finish_job(t->helper, job);
	}
	return NULL;
}

static int start_thread(struct helper *h, uint32_t i, const struct served *served)
{
	struct helper_thread *t = &h->thread[i];
	uint32_t text_max = served->geometry.text_max;
	int r;

	t->helper = h;
	t->is_short = i < HELPER_SHORT;
	r = prompt_reader_init(&t->reader, CHAT_OUTPUT_BYTES(text_max));
	if (r == 0)
		r = chat_reader_init(&t->chat, served->chat, served->vocab, text_max);
	t->reader.chat = &t->chat;
	if (r == 0)
		r = -pthread_create(&t->thread, NULL, helper_main, t);
	t->is_running = r == 0;
	return r;
}

int helper_init(struct helper *h, const struct served *served, uint32_t *n_done, int wake_fd)
{
	int r = 0;

	memset(h, 0, sizeof(*h));
	h->wake_fd = wake_fd;
	h->n_done = n_done;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->cond, NULL);
	for (uint32_t i = 0; i < HELPER_JOB_MAX && r == 0; i++)
		if (!(h->job[i].data = malloc(served->geometry.text_max)))
			r = -ENOMEM;
	for (uint32_t i = 0; i < HELPER_THREAD_MAX && r == 0; i++)
		r = start_thread(h, i, served);
	if (r < 0)
		helper_deinit(h);
	return r;
}

void helper_deinit(struct helper *h)
{
	pthread_mutex_lock(&h->lock);
	h->is_stopping = true;
	pthread_cond_broadcast(&h->cond);
	pthread_mutex_unlock(&h->lock);
	for (uint32_t i = 0; i < HELPER_THREAD_MAX; i++) {
		if (h->thread[i].is_running)
			pthread_join(h->thread[i].thread, NULL);
		chat_reader_deinit(&h->thread[i].chat);
		prompt_reader_deinit(&h->thread[i].reader);
	}
	for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
		free(h->job[i].data);
	memset(h, 0, sizeof(*h));
}

struct helper_job *helper_get(struct helper *h, struct user *u)
{
	struct helper_job *job = NULL;
	uint32_t n_free = 0, n_own = 0;

	for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
		if (load_relaxed(&h->job[i].state) == HELPER_JOB_FREE) {
			job = &h->job[i];
			n_free++;
		} else {
			n_own += h->job[i].user == u;
		}
	if (!job || n_free <= n_own)
		return NULL;
	job->user = u;
	job->n = 0;
	store_relaxed(&job->state, HELPER_JOB_FILLING);
	return job;
}

void helper_submit(struct helper *h, struct helper_job *job)
{
	pthread_mutex_lock(&h->lock);
	job->number = ++h->n_job;
	store_release(&job->state, HELPER_JOB_QUEUED); /* pairs with helper_choose */
	pthread_cond_broadcast(&h->cond);
	pthread_mutex_unlock(&h->lock);
}

struct helper_job *helper_finished(struct helper *h)
{
	if (!load_relaxed(h->n_done)) /* a hint; the job's state orders */
		return NULL;
	for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
		if (load_acquire(&h->job[i].state) == HELPER_JOB_DONE) /* pairs with finish_job */
			return &h->job[i];
	return NULL;
}

bool helper_is_idle(const struct helper *h)
{
	for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
		if (load_relaxed(&h->job[i].state) != HELPER_JOB_FREE)
			return false;
	return true;
}

bool helper_is_reading(const struct helper *h, uint32_t i, uint64_t *cpu_ns)
{
	const struct helper_thread *t = &h->thread[i];
	struct timespec used;
	clockid_t clock;

	*cpu_ns = 0;
	if (!t->is_running || pthread_getcpuclockid(t->thread, &clock) || clock_gettime(clock, &used))
		return false;
	*cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
	return load_relaxed(&t->is_reading);
}

bool helper_has_queued(const struct helper *h)
{
	for (uint32_t i = 0; i < HELPER_JOB_MAX; i++)
		if (load_relaxed(&h->job[i].state) == HELPER_JOB_QUEUED)
			return true;
	return false;
}

void helper_put(struct helper *h, struct helper_job *job)
{
	if (load_relaxed(&job->state) == HELPER_JOB_DONE)
		fetch_add(h->n_done, -1u);
	explicit_bzero(job->data, job->n);
	explicit_bzero(job->sampling.stop, job->sampling.n_stop * sizeof(job->sampling.stop[0]));
	store_relaxed(&job->state, HELPER_JOB_FREE);
}
