#include "daemon/daemon.h"
#include "daemon/text/chat_gguf.h"
#include "daemon/text/chat.h"
#include "daemon/util/log.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"
#include "daemon/machine/placement.h"
#include "daemon/text/vocab_gguf.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert(CONFIG_UID_MAX == USER_OUTRANK_MAX, "all of them are told");
_Static_assert(CONFIG_REPLICA_MAX == QUEUE_ENGINE_MAX, "an engine for each replica");

static void name_model(struct daemon *d)
{
	struct gguf_str s;
	const char *slash = strrchr(d->config.model, '/');

	if (gguf_get_str(d->weights[0]->gguf, "general.name", &s) == 0 && s.n > 0)
		snprintf(d->model_name, sizeof(d->model_name), "%.*s", (int)(s.n < 120 ? s.n : 120), s.p);
	else
		snprintf(d->model_name, sizeof(d->model_name), "%.120s", slash ? slash + 1 : d->config.model);
}

/* Nodes of all engines: as many as were asked for, or those of the machine if they can be divided evenly, or one each. */
static int make_layout(struct layout *l, const struct topology *t, const struct config *c, struct error *e)
{
	int n_engine = (int)c->n_replica, n_node = (int)c->n_node * n_engine;
	int n_thread = (int)(c->n_thread ? c->n_thread : t->n_thread), r;

	if (n_engine > 1 && (n_engine > n_thread || n_node > n_thread || n_node > NODE_MAX))
		return error_set(
			e, -EINVAL,
			"replicas: %d need as many threads, and those of several nodes as many nodes; there are %d "
			"threads, and %d nodes at most; lower --replicas or --nodes, or raise --threads",
			n_engine, n_thread, NODE_MAX);
	r = layout_make(l, t, (int)c->n_thread, n_node, e);
	if (r == 0 && l->n_node % n_engine)
		r = layout_make(l, t, (int)c->n_thread, n_engine, e);
	return r;
}

/* Some containers forbid a thread to choose its CPUs, even those that it has. */
static void relax_pinning(struct layout *l)
{
	cpu_set_t set;

	if (!l->is_pinned || sched_getaffinity(0, sizeof(set), &set) < 0 ||
	    sched_setaffinity(0, sizeof(set), &set) == 0)
		return;
	log_warn("threads cannot be pinned (sched_setaffinity: %s), which costs speed; %s", strerror(errno),
		 error_remedy(-errno));
	l->is_pinned = false;
}

/* Each engine's part of the layout. */
static void divide_layout(struct daemon *d)
{
	int n_engine = (int)d->config.n_replica, n = d->layout.n_node / n_engine;

	log_info("nodes: %d (%s)", d->layout.n_node, d->layout.why_node);
	for (int i = 0; i < n_engine; i++) {
		d->part[i] = layout_part(&d->layout, i * n, n);
		if (n_engine > 1)
			log_info("replica %d: %d threads on %d of the nodes", i, d->part[i].n_worker, n);
		pool_relax(&d->part[i]);
	}
}

static int open_layout(struct daemon *d, struct error *e)
{
	const struct layout *l = &d->layout;
	static struct topology t; /* large */
	int r;

	(void)topology_read(&t, "", NULL); /* unread: no core to pin to */
	r = make_layout(&d->layout, &t, &d->config, e);
	if (r < 0)
		return r;
	relax_pinning(&d->layout);
	log_info("threads: %d (%s)%s", l->n_worker, l->why_worker, l->is_pinned ? ", pinned" : "");
	divide_layout(d);
	d->engine = memory_array(d->config.n_replica, sizeof(*d->engine));
	return d->engine ? 0
			 : error_set(e, -ENOMEM, "no memory for %u replicas; lower --replicas", d->config.n_replica);
}

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

#define KEY_WARN_MAX 8

/* What a file says beyond what gyre knows of its architecture may change numbers, or not. */
static void warn_keys(const struct daemon *d)
{
	struct gguf_str key;
	size_t i = 0;

	for (int n = 0; n < KEY_WARN_MAX && model_unknown_key(d->weights[0]->gguf, &i, &key); n++)
		log_warn("the model's %.*s is not known to this gyre and has no effect: if it changes what the model "
			 "computes, the answers are wrong",
			 (int)key.n, key.p);
}

/* A model without a template serves all the same. */
static int open_chat(struct daemon *d, struct error *e)
{
	struct error why;
	int r = chat_from_gguf(&d->chat, d->weights[0]->gguf, d->vocab, d->config.chat_template, d->config.chat_date,
			       &why);

	if (r < 0)
		return error_set(e, r, "%s", why.text);
	if (*why.text)
		log_warn("%s", why.text);
	return 0;
}

struct vocab_made {
	struct vocab *vocab;
	char text[256];
	int code;
};

static void make_vocab(void *arg, const struct gguf *g)
{
	struct vocab_made *v = arg;

	v->code = vocab_from_gguf(&v->vocab, g, v->text, sizeof(v->text));
	if (!v->code && *vocab_warning(v->vocab))
		log_warn("the model's vocabulary: %s", vocab_warning(v->vocab));
}

/*
 * Nobody asked for the nodes there are, and they cannot be had: the model is too small for them, or memory cannot be bound here
 * (a container without the right to). Fewer then. false: each engine has one already.
 */
static bool take_fewer_nodes(struct daemon *d, int code, const struct error *why)
{
	int n_engine = (int)d->config.n_replica, n = d->layout.n_node / n_engine;
	static struct topology t; /* large */
	struct error e;

	if (d->config.n_node || (code != -E2BIG && code != -EPERM) || n == 1)
		return false;
	n = code == -EPERM ? 1 : n / 2;
	if (topology_read(&t, "", NULL) < 0 || layout_make(&d->layout, &t, d->layout.n_worker, n * n_engine, &e) < 0)
		return false;
	log_warn("%s; going on with %d node%s", why->text, n, n > 1 ? "s" : "");
	snprintf(d->layout.why_node, sizeof(d->layout.why_node), "%d node%s: more cannot be had", d->layout.n_node,
		 d->layout.n_node > 1 ? "s" : ""); /* nobody asked for them */
	relax_pinning(&d->layout);
	divide_layout(d);
	return true;
}

/* Replica i's copy. The vocabulary is made while the first one is read. */
static int load_weights(struct daemon *d, uint32_t i, struct error *e)
{
	struct vocab_made v = { .text = "" };
	struct weights_options wo = { .plan = model_plan,
				      .layout = &d->part[i],
				      .n_thread = d->layout.n_worker,
				      .beside = i ? NULL : make_vocab,
				      .arg = &v };
	const struct weights *w;
	int r;

	while ((r = weights_load(&d->weights[i], d->config.model, &wo, e)) < 0 && i == 0 && take_fewer_nodes(d, r, e)) {
		v.vocab = vocab_free(v.vocab);
		wo.n_thread = d->layout.n_worker;
	}
	w = d->weights[i];
	d->vocab = i ? d->vocab : v.vocab;
	if (r < 0)
		return r;
	if (v.code < 0)
		return error_set(e, v.code, "%s: %s", d->config.model, v.text);
	name_model(d);
	log_info("model: %s, %.1f MiB of weights in %s; taken in %.0f ms, read%s and packed in %.0f ms", d->model_name,
		 (double)w->n_bytes / (1 << 20), pool_kind_name(pool_kind_least(w->pool, w->plan.n_node)),
		 w->pool_seconds * 1e3, w->is_direct ? " from the disk" : "", (w->seconds - w->pool_seconds) * 1e3);
	return pool_check(w->pool, w->plan.n_node, "weights", e);
}

static bool is_same_memory(const struct layout *a, const struct layout *b)
{
	for (int i = 0; i < a->n_node; i++)
		if (a->node[i].os_node != b->node[i].os_node)
			return false;
	return true;
}

/* Replicas whose memory is the same share a copy. */
static int open_weights(struct daemon *d, struct error *e)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < d->config.n_replica; i++) {
		for (uint32_t k = 0; k < i && !d->weights[i]; k++)
			if (is_same_memory(&d->part[k], &d->part[i]))
				d->weights[i] = d->weights[k];
		if (!d->weights[i])
			r = load_weights(d, i, e);
	}
	if (r < 0)
		return r;
	warn_keys(d);
	return open_chat(d, e);
}

static int open_engines(struct daemon *d, struct error *e)
{
	int r = 0;

	while (r == 0 && d->n_engine < d->config.n_replica) {
		uint32_t i = d->n_engine;
		struct engine_options o = { .config = &d->config,
					    .layout = &d->part[i],
					    .kernels = &d->kernels,
					    .vocab = d->vocab,
					    .weights = d->weights[i],
					    .intake = &d->intake,
					    .n_engine = d->config.n_replica,
					    .index = i };

		r = engine_open(&d->engine[i], &o, e);
		d->n_engine += r == 0;
	}
	placement_prefer(d->part[0].node[0].os_node); /* the rings that this thread will make */
	return r;
}

uint32_t daemon_n_ctx(const struct daemon *d)
{
	uint32_t n = d->engine[0].n_ctx;

	for (uint32_t i = 1; i < d->n_engine; i++)
		n = min_u32(n, d->engine[i].n_ctx);
	return n;
}

static int open_intake(struct daemon *d, struct error *e)
{
	const struct config *c = &d->config;
	struct intake_options io = { .n_vocab = vocab_size(d->vocab),
				     .n_ctx = daemon_n_ctx(d),
				     .n_draft = c->n_draft,
				     .chat = d->chat,
				     .n_piece = emit_pieces(d->vocab),
				     .block_len = KV_BLOCK,
				     .spin_ns = c->spin_us * 1000ull,
				     .n_queue = d->n_engine };
	int r;

	for (uint32_t i = 0; i < d->n_engine; i++)
		io.queue[i] = &d->engine[i].queue;
	io.n_outrank = c->outrank.n;
	memcpy(io.outrank, c->outrank.uid, sizeof(io.outrank));
	r = intake_init(&d->intake, d->vocab, &io, d->control_fd);
	if (r < 0 && r != -ENOMEM)
		return error_call(e, r, "epoll, eventfd or thread of the intake");
	return r < 0 ? error_set(e, r, "no memory for %u requests of %u positions; lower --ctx",
				 INTAKE_SESSION_MAX + d->n_engine * BATCH_SEQ_MAX, io.n_ctx)
		     : 0;
}

static const struct {
	const char *name;
	int (*open)(struct daemon *d, struct error *e);
} parts[] = {
	{ "kernels", open_kernels }, { "layout", open_layout }, { "weights and vocabulary", open_weights },
	{ "engines", open_engines }, { "intake", open_intake },
};

#define N_PART (sizeof(parts) / sizeof(parts[0]))

/* Opens all parts in order and says how long each took. */
static int open_parts(struct daemon *d, struct error *e)
{
	char text[256];
	int n = 0;

	for (size_t i = 0; i < N_PART; i++) {
		uint64_t begin = batch_now_ns();
		int r = parts[i].open(d, e);

		if (r < 0)
			return r;
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s %.1f", i ? ", " : "", parts[i].name,
			      (double)(batch_now_ns() - begin) * 1e-6);
	}
	log_info("start-up, ms: %s", text);
	return 0;
}

int daemon_open(struct daemon *d, const struct config *c, struct error *e)
{
	int r;

	memset(d, 0, sizeof(*d));
	d->config = *c;
	d->intake.epoll_fd = d->intake.wake_fd = -1;
	d->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->control_fd < 0)
		return error_call(e, -errno, "eventfd2");
	r = open_parts(d, e);
	if (r < 0)
		daemon_close(d);
	return r;
}

static void free_weights(struct daemon *d)
{
	for (uint32_t i = 0; i < QUEUE_ENGINE_MAX; i++) {
		struct weights *w = d->weights[i];

		for (uint32_t k = i; k < QUEUE_ENGINE_MAX; k++)
			if (d->weights[k] == w)
				d->weights[k] = NULL;
		weights_free(w);
	}
}

void daemon_close(struct daemon *d)
{
	intake_deinit(&d->intake);
	while (d->n_engine)
		engine_close(&d->engine[--d->n_engine]);
	free(d->engine);
	d->engine = NULL;
	d->chat = chat_free(d->chat);
	d->vocab = vocab_free(d->vocab);
	free_weights(d);
	if (d->control_fd >= 0)
		close(d->control_fd);
	d->control_fd = -1;
}

int daemon_start(struct daemon *d)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < d->n_engine; i++)
		r = engine_start(&d->engine[i]);
	return r;
}

void daemon_stop(struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_engine; i++)
		engine_stop(&d->engine[i]);
}
