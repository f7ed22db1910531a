#include "daemon/daemon.h"
#include "daemon/util/log.h"
#include "daemon/util/minmax.h"
#include "daemon/vocab_gguf.h"
#include "shm/atomic.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOGIT_BYTES_MAX  (64u << 20) /* of the logit rows of one step */
#define LOGIT_ROW_MIN    32u
#define KV_CONTEXTS_AUTO 4u /* a pool for this many full contexts unless the configuration says more */

static void name_model(struct daemon *d)
{
	struct gguf_str s;
	const char *slash = strrchr(d->config.model, '/');

	if (gguf_get_str(d->weights->gguf, "general.name", &s) == 0 && s.n > 0)
		snprintf(d->model_name, sizeof(d->model_name), "%.*s", (int)(s.n < 120 ? s.n : 120), s.p);
	else
		snprintf(d->model_name, sizeof(d->model_name), "%.120s", slash ? slash + 1 : d->config.model);
}

static int open_team(struct daemon *d, struct error *e)
{
	char why[128] = "asked for";
	int n = d->config.n_thread ? (int)d->config.n_thread : cpu_default_threads(why, sizeof(why));
	bool is_pinned = topology_read(&d->topology, "", NULL) == 0 && (uint32_t)n <= d->topology.n_core;

	for (int i = 0; is_pinned && i < n; i++)
		d->cpu[i] = d->topology.core[i].cpu;
	d->n_thread = (uint32_t)n;
	log_info("threads: %d (%s)%s", n, why, is_pinned ? ", pinned" : "");
	return team_new(&d->team, n, is_pinned ? d->cpu : NULL, e);
}

static int open_kernels(struct daemon *d, struct error *e)
{
	const char *name = d->config.isa;
	bool is_auto = !*name || !strcmp(name, "auto");
	enum kernels_isa isa = is_auto ? ISA_MAX : kernels_isa_parse(name);

	if (isa == ISA_MAX && !is_auto)
		return error_set(e, -EINVAL, "isa: '%s' is none of auto, ref, avx2, avx512vnni", name);
	if (isa != ISA_MAX && !(kernels_available() & (1u << isa)))
		return error_set(e, -EINVAL, "isa: this CPU has no %s; --isa auto takes the best it has", name);
	isa = kernels_select(&d->kernels, isa);
	if (is_auto && isa == ISA_REF)
		log_warn("kernels: ref: this CPU has no AVX2, FMA and F16C, and every answer takes many times longer; "
			 "in a "
			 "virtual machine, give the guest the host's CPU type");
	else
		log_info("kernels: %s", kernels_isa_name(isa));
	return 0;
}

static void warn_chat(const struct daemon *d)
{
	struct gguf_str chat;

	if (!vocab_chat_family(d->vocab) && gguf_get_str(d->weights->gguf, "tokenizer.chat_template", &chat) == 0)
		log_warn("the model's chat template is of no known family (daemon/text/chat.c): chat requests are "
			 "refused");
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
}

/* The vocabulary is made while the weights are read. */
static int open_weights(struct daemon *d, struct error *e)
{
	struct vocab_made v = { .text = "" };
	struct weights_options wo = { .n_thread = (int)d->n_thread, .beside = make_vocab, .arg = &v };
	int r = weights_load(&d->weights, d->config.model, &wo, e);
	const struct weights *w = d->weights;

	d->vocab = v.vocab;
	if (r < 0)
		return r;
	if (v.code < 0)
		return error_set(e, v.code, "%s: %s", d->config.model, v.text);
	name_model(d);
	log_info("model: %s, %.1f MiB of weights in %s; taken in %.0f ms, read%s and packed in %.0f ms", d->model_name,
		 (double)w->n_bytes / (1 << 20), pool_kind_name(w->pool.kind), w->pool_seconds * 1e3,
		 w->is_direct ? " from the disk" : "", (w->seconds - w->pool_seconds) * 1e3);
	warn_chat(d);
	return 0;
}

/* Rows and logit rows of a step from the configuration and the vocabulary. */
static void size_step(const struct daemon *d, uint32_t *n_row, uint32_t *n_logit)
{
	uint32_t fit = LOGIT_BYTES_MAX / (vocab_size(d->vocab) * (uint32_t)sizeof(float));

	*n_row = d->config.batch_rows;
	*n_logit = min_u32(BATCH_SEQ_MAX, max_u32(fit, LOGIT_ROW_MIN));
}

static int open_forward(struct daemon *d, struct error *e)
{
	struct model_options mo = { .n_thread = d->n_thread, .n_ctx = d->config.n_ctx };
	int r;

	mo.kv_type = kv_type_parse(d->config.kv_type);
	if (mo.kv_type == KV_TYPE_MAX)
		return error_set(e, -EINVAL, "kv-type: '%s' is none of f16, q8_0", d->config.kv_type);
	size_step(d, &mo.n_row_max, &mo.n_logit_max);
	if (!mo.n_ctx) {
		uint32_t n_train = 0;
		struct gguf_str arch;
		char key[160];

		if (gguf_get_str(d->weights->gguf, "general.architecture", &arch) == 0 && arch.n < 100) {
			snprintf(key, sizeof(key), "%.*s.context_length", (int)arch.n, arch.p);
			gguf_get_u32(d->weights->gguf, key, &n_train);
		}
		mo.n_ctx = n_train && n_train < CONFIG_CTX_AUTO ? n_train : CONFIG_CTX_AUTO;
	}
	r = model_open(&d->model, d->weights, &d->kernels, &mo, e);
	if (r < 0)
		return r;
	/* A row past the table would be read for a token past it. Tables padded beyond the vocabulary are common and harmless. */
	if (vocab_size(d->vocab) > model_hparams(d->model)->n_vocab)
		return error_set(e, -EINVAL, "%s: %u tokens but an embedding of %u rows; convert the model again",
				 d->config.model, vocab_size(d->vocab), model_hparams(d->model)->n_vocab);
	d->n_ctx = model_n_ctx(d->model);
	r = batch_init(&d->batch, mo.n_row_max, mo.n_logit_max, model_logit_stride(d->model));
	return r < 0 ? error_set(e, r, "no memory for a step of %u rows; lower --batch-rows", mo.n_row_max) : 0;
}

static int open_kv(struct daemon *d, struct error *e)
{
	size_t block = model_kv_block_bytes(d->model), n_block = (d->n_ctx + KV_BLOCK - 1) / KV_BLOCK;
	uint64_t bytes = d->config.kv_bytes ? d->config.kv_bytes : KV_CONTEXTS_AUTO * n_block * block;
	struct error why = { "" };
	int r;

	if (bytes < block)
		return error_set(e, -EINVAL, "kv-bytes: one block takes %zu bytes", block);
	r = pool_map(&d->kv_pool, bytes, "gyre-kv", &why);
	if (r < 0)
		return error_set(e, r, "%s; or lower --kv-bytes or --ctx", why.text);
	r = kv_init(&d->kv, d->kv_pool.base, d->kv_pool.bytes, block);
	if (r < 0)
		return error_set(e, r, "no memory for the KV pool's bookkeeping; lower --kv-bytes");
	model_set_kv(d->model, d->kv_pool.base);
	log_info("kv: %u positions of %s in %u blocks, %.1f MiB in %s; context %u", d->kv.n_block * KV_BLOCK,
		 d->config.kv_type, d->kv.n_block, (double)d->kv_pool.bytes / (1 << 20),
		 pool_kind_name(d->kv_pool.kind), d->n_ctx);
	return 0;
}

static int open_stages(struct daemon *d, struct error *e)
{
	const struct config *c = &d->config;
	struct sched_options so = { c->batch_rows, c->chunk, c->n_draft, KV_BLOCK };
	struct sample_options sample = { vocab_size(d->vocab), d->batch.n_logit_max, c->n_draft };
	struct intake_options io = { vocab_size(d->vocab), d->n_ctx, c->n_draft, c->spin_us * 1000ull };
	int r;

	sched_init(&d->sched, &d->kv, &so);
	spec_init(&d->spec, c->n_draft, d->n_ctx, d->batch.n_row_max, KV_BLOCK);
	emit_init(&d->emit, d->vocab, d->n_ctx);
	r = queue_init(&d->queue, d->n_ctx, KV_BLOCK);
	if (r == 0)
		r = sample_init(&d->sample, &d->kernels, d->team, &sample);
	if (r == 0)
		r = intake_init(&d->intake, d->vocab, &io, d->control_fd);
	return r < 0 ? error_set(e, r, "no memory for %u requests of %u positions; lower --ctx", QUEUE_REQUEST_MAX,
				 d->n_ctx)
		     : 0;
}

static const struct {
	const char *name;
	int (*open)(struct daemon *d, struct error *e);
} parts[] = {
	{ "kernels", open_kernels },    { "threads", open_team }, { "weights and vocabulary", open_weights },
	{ "work space", open_forward }, { "KV", open_kv },        { "stages", open_stages },
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
		return error_set(e, -errno, "eventfd: %s", strerror(errno));
	r = open_parts(d, e);
	if (r < 0)
		daemon_close(d);
	return r;
}

void daemon_close(struct daemon *d)
{
	intake_deinit(&d->intake);
	sample_deinit(&d->sample);
	queue_deinit(&d->queue);
	batch_deinit(&d->batch);
	d->model = model_close(d->model);
	kv_deinit(&d->kv);
	pool_unmap(&d->kv_pool);
	d->vocab = vocab_free(d->vocab);
	d->weights = weights_free(d->weights);
	d->team = team_free(d->team);
	if (d->control_fd >= 0)
		close(d->control_fd);
	d->control_fd = -1;
}

static void pin_leader(const struct daemon *d)
{
	cpu_set_t set;

	if (d->n_thread > d->topology.n_core)
		return;
	CPU_ZERO(&set);
	CPU_SET(d->cpu[0], &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *leader_main(void *arg)
{
	struct daemon *d = arg;

	pthread_setname_np(pthread_self(), "gyred-leader");
	pin_leader(d);
	while (!load_acquire(&d->is_stopping))
		daemon_step(d);
	return NULL;
}

int daemon_start(struct daemon *d)
{
	int r = -pthread_create(&d->leader, NULL, leader_main, d);

	d->has_leader = r == 0;
	return r;
}

void daemon_stop(struct daemon *d)
{
	if (!d->has_leader)
		return;
	/* Pairs with the load in leader_main. */
	store_release(&d->is_stopping, 1);
	intake_wake(&d->intake);
	pthread_join(d->leader, NULL);
	d->has_leader = false;
}
