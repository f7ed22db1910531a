/*
 * The models of the daemon: a table whose places never move (flow/served.h), those of the configuration first. Models come and go while
 * others are served: one job at a time, on a thread of its own, because it reads gigabytes and joins teams of workers.
 *
 * Going: the model is said to be LEAVING; once whoever has the watch has seen that, no request of it can be made any more. If some run,
 * or their texts are being read, it stays. Else it is said to sleep, which the watch sees likewise before anything is freed.
 *
 * Control thread, but for the job.
 */
#ifndef GYRE_DAEMON_ENGINE_REGISTRY_H
#define GYRE_DAEMON_ENGINE_REGISTRY_H

#include "daemon/engine/served.h"

struct registry_options {
	const struct config *config;
	const struct layouts *layouts; /* of the machine */
	const struct kernels *kernels;
	struct intake *intake;         /* initialized; it has `served` as its table */
	int control_fd;                /* eventfd of the control thread's: a job has ended */
	void (*say)(const char *name); /* at start-up, before each model; NULL: nobody listens */
};

struct registry_job {
	struct registry *registry;
	struct served *served;
	uint32_t next; /* enum served_state: what it is to become */
	int res;       /* 0 or -errno with e */
	struct error e;
	uint32_t is_done; /* atomic */
	pthread_t thread;
};

struct registry {
	struct registry_options o;
	struct served served[SERVED_MAX];
	struct config_model model[SERVED_MAX]; /* what each was, or is to be, loaded with */
	struct layouts layouts[SERVED_MAX];    /* each one's own: it may take fewer nodes */
	struct cores cores[CONFIG_REPLICA_MAX];
	uint64_t used_ns[SERVED_MAX];   /* when a request was last seen of it */
	uint64_t n_request[SERVED_MAX]; /* and how many had been made by then */
	uint32_t n_max;                 /* models that there are engines for */
	bool is_busy;                   /* a job is under way */
	struct registry_job job;
};

/* Loads the configuration's models, one after the other; nothing runs yet. 0, or -errno with e, and nothing is left. */
int registry_open(struct registry *r, const struct registry_options *o, struct error *e);
/* After registry_stop. A zero-filled struct does nothing. */
void registry_close(struct registry *r);
/* The leaders of all; stop waits for them, and for the job under way, which may take as long as a model takes to load. */
int registry_start(struct registry *r);
void registry_stop(struct registry *r);

/* By the name that clients ask for; "": the first. NULL with e: none, and which there are. */
struct served *registry_find(struct registry *r, const char *name, struct error *e);
/* Requests under way, of all models. */
uint32_t registry_count_live(const struct registry *r);

/*
 * Begins to load a model by its name, or by the path of its file; it is READY or FAILED when registry_end_job says so. 0: begun. 1: it is
 * there already. -errno with e: refused, nothing has changed.
 */
int registry_load(struct registry *r, const char *name, struct error *e);
/* Likewise to unload one, which becomes OFF; -EBUSY from registry_end_job: a request of it is under way. */
int registry_unload(struct registry *r, const char *name, struct error *e);
/* The job that has ended, or NULL; valid until the next one begins. */
const struct registry_job *registry_end_job(struct registry *r);
/* Begins what nobody has asked for: a model that an entry waits for is loaded, one that nobody uses any more is put to sleep. Whether this is to
 * be looked at again within a second. */
bool registry_look(struct registry *r, uint64_t now_ns);

#endif
