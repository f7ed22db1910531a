#include "daemon/engine/registry.h"

#include "daemon/util/counter.h"
#include "daemon/util/log.h"
#include "daemon/util/nearest.h"
#include "shm/atomic.h"
#include "shm/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(SERVED_MAX == CONFIG_MODEL_MAX && SERVED_MAX == USER_MODEL_MAX, "a place for each");
_Static_assert(GYRE_NAME_MAX == CONFIG_NAME_MAX, "a name fits a hello");

#define SECOND_NS 1000000000ull
#define END_NS    SECOND_NS       /* a request that runs for longer keeps its model */
#define RETRY_NS  (5 * SECOND_NS) /* a model that could not be loaded is tried again no sooner */

static struct served_options options(struct registry *r, uint32_t i)
{
	return (struct served_options){ .config = r->o.config,
					.own = &r->model[i],
					.layouts = &r->layouts[i],
					.kernels = r->o.kernels,
					.intake = r->o.intake,
					.cores = r->cores };
}

static void set_state(struct served *s, enum served_state state)
{
	store_release(&s->state, state); /* pairs with served_is_open, served_is_ready, without_model and read_entry */
}

/* ---- places ---- */

/* One that had another model has its engines, whose leaders wait, and maybe sessions, which learn that theirs has gone. */
static int fill_place(struct registry *r, uint32_t i, const struct config_model *m, struct error *e)
{
	struct served *s = &r->served[i];
	const struct served_options o = options(r, i);

	r->model[i] = *m;
	s->index = i;
	s->generation++;
	s->geometry = (struct geometry){ 0 };
	memcpy(s->name, m->name, sizeof(s->name));
	return s->engine ? 0 : served_init(s, &o, i * r->o.config->n_replica, e);
}

static void list_names(const struct registry *r, char *list, size_t n)
{
	*list = 0;
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		size_t at = strlen(list);

		if (load_relaxed(&r->served[i].state) != SERVED_NONE)
			snprintf(list + at, n - at, "%s%s", at ? ", " : "", r->served[i].name);
	}
}

static int refuse_name(const struct registry *r, const char *name, struct error *e)
{
	char list[SERVED_MAX * (GYRE_NAME_MAX + 2)];

	list_names(r, list, sizeof(list));
	return error_set(e, -ENOENT, "no model is called '%.63s' here; there %s %s", name,
			 strchr(list, ',') ? "are" : "is", list);
}

static struct served *find(struct registry *r, const char *name)
{
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		struct served *s = &r->served[i];

		if (load_relaxed(&s->state) != SERVED_NONE &&
		    (!*name || !strcmp(s->name, name) || !strcmp(r->model[i].file, name)))
			return s;
	}
	return NULL;
}

struct served *registry_find(struct registry *r, const char *name, struct error *e)
{
	struct served *s = find(r, name);

	if (!s)
		refuse_name(r, name, e);
	return s;
}

uint32_t registry_count_live(const struct registry *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		const struct served *s = &r->served[i];

		if (served_is_ready(s))
			n += counter_read32(&s->pool.n_live) - load_relaxed(&s->pool.n_kept);
		else if (served_is_open(s)) /* leaving, or about to stay: the job knows */
			n++;
	}
	return n;
}

/* ---- life ---- */

static int open_first(struct registry *r, uint32_t i, const struct config_model *m, struct error *e)
{
	int res = fill_place(r, i, m, e);

	if (r->o.say)
		r->o.say(m->name);
	if (res == 0) {
		const struct served_options o = options(r, i);

		set_state(&r->served[i], SERVED_LOADING);
		res = served_open(&r->served[i], &o, e);
	}
	if (res == 0)
		set_state(&r->served[i], SERVED_READY);
	return res;
}

int registry_open(struct registry *r, const struct registry_options *o, struct error *e)
{
	const struct config *c = o->config;
	int res = 0;

	r->o = *o;
	pool_set_budget(c->memory);
	r->n_max = QUEUE_ENGINE_MAX / c->n_replica;
	if (c->n_model > r->n_max)
		return error_set(e, -EINVAL, "%u models of %u replicas are more than %u engines; lower --replicas",
				 c->n_model, c->n_replica, QUEUE_ENGINE_MAX);
	for (uint32_t i = 0; i < SERVED_MAX; i++)
		r->layouts[i] = *o->layouts;
	for (uint32_t i = 0; res == 0 && i < c->n_model; i++)
		res = open_first(r, i, &c->model[i], e);
	if (res < 0)
		registry_close(r);
	return res;
}

void registry_close(struct registry *r)
{
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		set_state(&r->served[i], SERVED_NONE);
		served_close(&r->served[i]);
		served_deinit(&r->served[i]);
	}
}

int registry_start(struct registry *r)
{
	int res = 0;

	for (uint32_t i = 0; res == 0 && i < SERVED_MAX; i++)
		if (served_is_ready(&r->served[i]))
			res = served_start(&r->served[i]);
	return res;
}

static void join_job(struct registry *r)
{
	if (r->is_busy)
		pthread_join(r->job.thread, NULL);
	r->is_busy = false;
}

void registry_stop(struct registry *r)
{
	join_job(r); /* it may wait for leaders, which are there until it has ended */
	for (uint32_t i = 0; i < SERVED_MAX; i++)
		served_stop(&r->served[i]);
}

/* ---- jobs ---- */

/* Leaders of this model may be the first beside another one's. */
static int start_leaders(struct registry *r, struct served *s, struct error *e)
{
	int res;

	intake_share(r->o.intake);
	res = served_start(s);
	return res < 0 ? error_set(e, res, "cannot start a leader thread: %s; raise ulimit -u", strerror(-res)) : 0;
}

static int do_load(struct registry_job *job)
{
	struct registry *r = job->registry;
	struct served *s = job->served;
	struct served_options o = options(r, s->index);
	uint64_t begin_ns = clock_ns();
	int res;

	r->layouts[s->index] = *r->o.layouts;
	res = served_open(s, &o, &job->e);
	if (res == 0)
		res = start_leaders(r, s, &job->e);
	if (res == 0) {
		log_info("model %s: ready in %llu ms", s->name,
			 (unsigned long long)((clock_ns() - begin_ns) / 1000000));
		set_state(s, SERVED_READY);
		watch_call(&r->o.intake->watch); /* for entries that have waited */
		return 0;
	}
	served_close(s);
	log_error("model %s: %s", s->name, job->e.text);
	words_set(&s->why, res, "%s could not be loaded: %.150s", s->name, job->e.text);
	set_state(s, SERVED_FAILED);
	watch_call(&r->o.intake->watch);
	return res;
}

/* Requests of s that stay: what has ended leaves its place with its engine's next step. */
static uint32_t wait_for_end(const struct served *s)
{
	const struct timespec look = { .tv_nsec = 1000000 };
	uint64_t end_ns = clock_ns() + END_NS;
	uint32_t n;

	while ((n = counter_read32(&s->pool.n_live) + !helper_is_idle(s->helper)) && clock_ns() < end_ns)
		(void)poll(NULL, 0, (int)(look.tv_nsec / 1000000));
	return n;
}

static int do_unload(struct registry_job *job)
{
	struct registry *r = job->registry;
	struct served *s = job->served;
	uint32_t n_live;

	handover_await(&r->o.intake->handover, false); /* LEAVING has been seen */
	served_ring(s);                                /* what is kept is let go of, by leaders that may be asleep */
	watch_call(&r->o.intake->watch);
	n_live = wait_for_end(s);
	if (n_live) {
		set_state(s, SERVED_READY);
		watch_call(&r->o.intake->watch);
		return error_set(&job->e, -EBUSY, "%s has %u request%s under way: wait for %s, or cancel %s", s->name,
				 n_live, n_live == 1 ? "" : "s", n_live == 1 ? "it" : "them",
				 n_live == 1 ? "it" : "them");
	}
	set_state(s, (enum served_state)job->next);
	handover_await(&r->o.intake->handover, false);
	served_close(s);
	log_info("model %s: unloaded%s", s->name, job->next == SERVED_ASLEEP ? ", until a request wants it" : "");
	return 0;
}

static void *job_main(void *arg)
{
	struct registry_job *job = arg;

	pthread_setname_np(pthread_self(), "gyred-loader");
	job->res = job->next == SERVED_READY ? do_load(job) : do_unload(job);
	store_release(&job->is_done, 1); /* pairs with registry_end_job */
	(void)!write(job->registry->o.control_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	return NULL;
}

/* From `now` on nobody but the job changes the state of s. */
static int begin_job(struct registry *r, struct served *s, enum served_state now, enum served_state next,
		     struct error *e)
{
	enum served_state before = (enum served_state)load_relaxed(&s->state);
	int res;

	r->job = (struct registry_job){ .registry = r, .served = s, .next = next };
	set_state(s, now);
	res = -pthread_create(&r->job.thread, NULL, job_main, &r->job);
	if (res < 0) {
		set_state(s, before);
		return error_set(e, res, "no thread can be made to load a model: %s; raise ulimit -u", strerror(-res));
	}
	store_relaxed(&s->is_wanted, 0);
	r->is_busy = true;
	return 0;
}

static int check_idle(const struct registry *r, struct error *e)
{
	return r->is_busy ? error_set(e, -EBUSY, "%s is being %s: try again when that is done", r->job.served->name,
				      r->job.next == SERVED_READY ? "loaded" : "unloaded")
			  : 0;
}

/* One that nobody has, or whose model was unloaded and is not the configuration's; n_max: none. */
static uint32_t find_place(const struct registry *r)
{
	uint32_t i, old = r->n_max;

	for (i = r->o.config->n_model; i < r->n_max; i++) {
		uint32_t state = load_relaxed(&r->served[i].state);

		if (state == SERVED_NONE)
			return i;
		if (state == SERVED_OFF || state == SERVED_FAILED)
			old = i;
	}
	return old;
}

/* A file that the table does not know: what holds for all models holds for it. */
static int add_file(struct registry *r, const char *file, struct served **sp, struct error *e)
{
	struct config_model m = r->o.config->any;
	uint32_t i = find_place(r);

	if (i == r->n_max)
		return error_set(e, -ENOSPC,
				 "all %u places for models are taken; unload one that the configuration does not name",
				 r->n_max);
	if (strlen(file) >= sizeof(m.file))
		return error_set(e, -ENAMETOOLONG, "a path of more than %zu bytes", sizeof(m.file) - 1);
	strcpy(m.file, file);
	config_name_model(&m);
	if (find(r, m.name))
		return error_set(e, -EEXIST, "another model is called %s here: give %s a name in the configuration",
				 m.name, file);
	*sp = &r->served[i];
	return fill_place(r, i, &m, e);
}

int registry_load(struct registry *r, const char *name, struct error *e)
{
	struct served *s = find(r, name);
	int res = check_idle(r, e);

	if (res < 0)
		return res;
	if (s && served_is_ready(s))
		return 1;
	if (!s && *name != '/')
		return refuse_name(r, name, e);
	if (!s)
		res = add_file(r, name, &s, e);
	return res < 0 ? res : begin_job(r, s, SERVED_LOADING, SERVED_READY, e);
}

int registry_unload(struct registry *r, const char *name, struct error *e)
{
	struct served *s = find(r, name);
	int res = check_idle(r, e);

	if (res < 0)
		return res;
	if (!s)
		return refuse_name(r, name, e);
	if (served_is_ready(s))
		return begin_job(r, s, SERVED_LEAVING, SERVED_OFF, e);
	set_state(s, SERVED_OFF); /* asleep, or failed */
	return 1;
}

const struct registry_job *registry_end_job(struct registry *r)
{
	if (!r->is_busy || !load_acquire(&r->job.is_done)) /* pairs with job_main */
		return NULL;
	join_job(r);
	r->used_ns[r->job.served->index] = clock_ns();
	return &r->job;
}

/* ---- what nobody has asked for ---- */

static bool is_unused(struct registry *r, uint32_t i, uint64_t now_ns)
{
	struct served *s = &r->served[i];
	uint64_t n = counter_read(&s->n_request);

	if (!r->used_ns[i] || n != r->n_request[i] || counter_read32(&s->pool.n_live)) {
		r->n_request[i] = n;
		r->used_ns[i] = now_ns;
	}
	return now_ns - r->used_ns[i] >= r->model[i].idle_seconds * SECOND_NS;
}

bool registry_look(struct registry *r, uint64_t now_ns)
{
	bool is_later = false;
	struct error e;

	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		struct served *s = &r->served[i];
		uint32_t state = load_relaxed(&s->state);

		if (state == SERVED_READY && r->model[i].idle_seconds) {
			is_later = true;
			if (is_unused(r, i, now_ns) && !r->is_busy)
				begin_job(r, s, SERVED_LEAVING, SERVED_ASLEEP, &e);
		} else if (load_relaxed(&s->is_wanted)) {
			bool is_early = state == SERVED_FAILED && now_ns - r->used_ns[i] < RETRY_NS;

			if (state != SERVED_ASLEEP && state != SERVED_FAILED)
				store_relaxed(&s->is_wanted, 0);
			else if (is_early || r->is_busy)
				is_later = true;
			else
				begin_job(r, s, SERVED_LOADING, SERVED_READY, &e);
		}
	}
	return is_later;
}
