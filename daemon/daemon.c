#include "daemon/daemon.h"
#include "daemon/control/service.h"
#include "daemon/machine/placement.h"
#include "daemon/util/log.h"
#include "shm/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert((int)CONFIG_LOG_DEBUG == (int)EVENT_DEBUG, "the same levels");
_Static_assert(CONFIG_UID_MAX == USER_OUTRANK_MAX, "all of them are told");

static int open_kernels(struct daemon *d, struct error *e)
{
	const char *name = d->config.isa;
	bool is_auto = !*name || !strcmp(name, "auto");
	enum kernels_isa isa = is_auto ? ISA_MAX : kernels_isa_parse(name);
	char missing[KERNELS_LIST_BYTES], why[KERNELS_REFUSAL_BYTES];

	if (!is_auto && kernels_isa_refusal(why, sizeof(why), name))
		return error_set(e, -EINVAL, "isa: %s; --isa auto takes the best", why);
	isa = kernels_select(&d->kernels, isa);
	if (is_auto && isa == ISA_REF)
		log_warn("kernels: ref: this CPU has no %s, and every answer takes many times longer; in a virtual "
			 "machine, give the guest the host's CPU type",
			 kernels_missing_names(missing, sizeof(missing), ISA_BASE));
	else
		log_info("kernels: %s", kernels_isa_name(isa));
	return 0;
}

static int open_layouts(struct daemon *d, struct error *e)
{
	return layouts_make(&d->layouts, &d->config, e);
}

static int open_intake(struct daemon *d, struct error *e)
{
	const struct config *c = &d->config;
	struct intake_options io = { .served = d->models.served,
				     .n_engine = c->n_model * c->n_replica,
				     .block_len = KV_BLOCK,
				     .spin_ns = c->spin_us * 1000ull };
	int r;

	io.n_outrank = c->outrank.n;
	memcpy(io.outrank, c->outrank.uid, sizeof(io.outrank));
	r = intake_init(&d->intake, &io, d->control_fd);
	return r < 0 ? error_call(e, r, "epoll, eventfd or memory of the intake") : 0;
}

static void say_model(const char *name)
{
	service_say("loading: model %s", name);
}

static int open_models(struct daemon *d, struct error *e)
{
	const struct registry_options o = { .config = &d->config,
					    .layouts = &d->layouts,
					    .kernels = &d->kernels,
					    .intake = &d->intake,
					    .control_fd = d->control_fd,
					    .say = say_model };
	int r = registry_open(&d->models, &o, e);

	placement_prefer(d->layouts.engine[0].node[0].os_node); /* the rings that this thread will make */
	return r;
}

static const struct {
	const char *name;
	int (*open)(struct daemon *d, struct error *e);
} parts[] = {
	{ "kernels", open_kernels },
	{ "layout", open_layouts },
	{ "intake", open_intake },
	{ "models", open_models },
};

#define N_PART (sizeof(parts) / sizeof(parts[0]))

/* Opens all parts in order and says how long each took. */
static int open_parts(struct daemon *d, struct error *e)
{
	char text[256];
	int n = 0;

	for (size_t i = 0; i < N_PART; i++) {
		uint64_t begin = clock_ns();
		int r;

		service_say("loading: %s", parts[i].name);
		r = parts[i].open(d, e);
		if (r < 0)
			return r;
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s %.1f", i ? ", " : "", parts[i].name,
			      (double)(clock_ns() - begin) * 1e-6);
	}
	log_info("start-up, ms: %s", text);
	return 0;
}

int daemon_open(struct daemon *d, const struct config *c, struct error *e)
{
	int r;

	memset(d, 0, sizeof(*d));
	d->config = *c;
	d->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->control_fd < 0)
		return error_call(e, -errno, "eventfd2");
	r = open_parts(d, e);
	if (r < 0)
		daemon_close(d);
	return r;
}

void daemon_close(struct daemon *d)
{
	registry_close(&d->models);
	intake_deinit(&d->intake);
	if (d->control_fd >= 0)
		close(d->control_fd);
	d->control_fd = -1;
}

int daemon_start(struct daemon *d)
{
	return registry_start(&d->models);
}

void daemon_stop(struct daemon *d)
{
	registry_stop(&d->models);
}

struct control_parts daemon_parts(struct daemon *d)
{
	return (struct control_parts){ .config = &d->config,
				       .models = &d->models,
				       .intake = &d->intake,
				       .leader_fd = d->control_fd,
				       .isa = d->kernels.isa,
				       .n_thread = (uint32_t)d->layouts.all.n_worker,
				       .session_bytes = d->config.session_bytes,
				       .admin = &d->config.admin,
				       .drain_seconds = d->config.drain_seconds,
				       .metrics_fd = -1 };
}
