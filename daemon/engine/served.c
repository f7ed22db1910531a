#include "daemon/engine/served.h"
#include "daemon/engine/room.h"
#include "daemon/stream/stream.h"
#include "daemon/text/chat.h"
#include "daemon/text/chat_gguf.h"
#include "daemon/text/vocab_gguf.h"
#include "daemon/util/log.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"
#include "shm/atomic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the model ---- */

/* What the file has of the model that a text needs none of: blocks that predict further tokens, what sees or hears. */
static void tell_left_out(const struct served *s)
{
	const struct gguf *g = s->weights[0]->gguf;
	uint64_t bytes = 0;

	for (size_t i = 0; i < gguf_n_left_out(g); i++)
		bytes += gguf_left_out_at(g, i)->bytes;
	if (gguf_n_left_out(g))
		log_info("model %s: %zu tensors, %.1f MiB, are left out, from %.*s on: blocks that predict further "
			 "tokens, or what sees or hears",
			 s->name, gguf_n_left_out(g), (double)bytes / (1 << 20), (int)gguf_left_out_at(g, 0)->name.n,
			 gguf_left_out_at(g, 0)->name.p);
}

/* A model without a template serves all the same. */
static int open_chat(struct served *s, const struct served_options *o, struct error *e)
{
	struct error why;
	int r = chat_from_gguf(&s->chat, s->weights[0]->gguf, s->vocab, o->own->chat_template, o->config->chat_date,
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

/* Replica i's copy. The vocabulary is made while the first one is read. */
static int load_copy(struct served *s, const struct served_options *o, uint32_t i, struct error *e)
{
	struct vocab_made v = { .text = "" };
	struct weights_options wo = { .plan = model_plan,
				      .check = i ? NULL : model_check,
				      .layout = &o->layouts->engine[i],
				      .n_thread = o->layouts->all.n_worker,
				      .beside = i ? NULL : make_vocab,
				      .arg = &v };
	const struct weights *w;
	char files[24] = "";
	int r;

	while ((r = weights_load(&s->weights[i], o->own->file, &wo, e)) < 0 && i == 0 &&
	       layouts_shrink(o->layouts, o->config, r, e)) {
		v.vocab = vocab_free(v.vocab);
		wo.n_thread = o->layouts->all.n_worker;
	}
	w = s->weights[i];
	s->vocab = i ? s->vocab : v.vocab;
	if (r < 0)
		return r;
	if (v.code < 0)
		return error_set(e, v.code, "%s: %s", o->own->file, v.text);
	gguf_name(w->gguf, s->title, sizeof(s->title));
	if (gguf_n_file(w->gguf) > 1)
		snprintf(files, sizeof(files), " from %u files", gguf_n_file(w->gguf));
	log_info("model %s: %s%s, %.1f MiB of weights in %s; taken in %.0f ms, read%s and packed in %.0f ms", s->name,
		 s->title, files, (double)w->n_bytes / (1 << 20),
		 pool_kind_name(pool_kind_least(w->pool, w->plan.n_node)), w->pool_seconds * 1e3,
		 w->is_direct ? " from the disk" : "", (w->seconds - w->pool_seconds) * 1e3);
	return pool_check(w->pool, w->plan.n_node, "weights", e);
}

/* Replicas whose memory is the same share a copy. */
static int load_weights(struct served *s, const struct served_options *o, struct error *e)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < o->config->n_replica; i++) {
		uint32_t first = layouts_weights_of(o->layouts, i);

		if (first < i)
			s->weights[i] = s->weights[first];
		else
			r = load_copy(s, o, i, e);
	}
	if (r < 0)
		return r;
	tell_left_out(s);
	return open_chat(s, o, e);
}

/* ---- its engines ---- */

static int open_engine(struct served *s, const struct served_options *o, uint32_t i, struct error *e)
{
	const struct engine_options eo = { .config = o->config,
					   .own = o->own,
					   .layout = &o->layouts->engine[i],
					   .kernels = o->kernels,
					   .vocab = s->vocab,
					   .weights = s->weights[i],
					   .n_engine = s->n_engine,
					   .index = i };

	s->shares_prefixes = o->config->share_prefixes;
	return engine_open(&s->engine[i], &eo, e);
}

/* A request may run on any of them: its context is the smallest. */
static void agree_on_context(struct served *s)
{
	uint32_t n = s->engine[0].n_ctx, n_block = s->engine[0].kv.book->n_block, n_slot = s->engine[0].kv.book->n_slot;
	uint32_t window = model_window(s->engine[0].model);

	for (uint32_t i = 1; i < s->n_engine; i++) {
		n = min_u32(n, s->engine[i].n_ctx);
		n_block = min_u32(n_block, s->engine[i].kv.book->n_block);
		n_slot = min_u32(n_slot, s->engine[i].kv.book->n_slot);
	}
	for (uint32_t i = 0; i < s->n_engine; i++)
		engine_limit_ctx(&s->engine[i], n);
	s->geometry = served_geometry(vocab_size(s->vocab), n, stream_pieces(s->vocab));
	s->geometry.n_kv = n_block * model_block_len(s->engine[0].model);
	s->geometry.block_len = model_block_len(s->engine[0].model);
	s->geometry.n_slot = n_slot;
	s->geometry.n_state = room_state_positions(s->engine[0].model);
	s->geometry.n_held = window ? kv_window_blocks(window, KV_BLOCK) * KV_BLOCK : 0;
	s->geometry.kv_bytes = model_kv_bytes(s->engine[0].model) / KV_BLOCK;
}

static int open_engines(struct served *s, const struct served_options *o, struct error *e)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->n_engine; i++)
		r = open_engine(s, o, i, e);
	return r;
}

/* Of llama.cpp's numbers; what is no vector of a text (none, a rank) is the last token's. */
static enum gyre_pooling pooling_of(uint32_t type)
{
	return type == 1 ? GYRE_POOLING_MEAN : type == 2 ? GYRE_POOLING_CLS : GYRE_POOLING_LAST;
}

/* What is told of it while it sleeps, too. A session that began with another geometry has promises that do not hold any more. */
static void note_facts(struct served *s, const struct geometry *before)
{
	s->bos = vocab_bos(s->vocab);
	s->eos = vocab_eos(s->vocab);
	s->n_embd = model_hparams(s->engine[0].model)->n_embd;
	s->pooling = pooling_of(model_hparams(s->engine[0].model)->pooling_type);
	s->has_chat = s->chat != NULL;
	if (before->n_ctx && (before->n_ctx != s->geometry.n_ctx || before->n_vocab != s->geometry.n_vocab ||
			      before->n_piece != s->geometry.n_piece))
		s->generation++;
}

static int open_intake(struct served *s, const struct served_options *o, struct error *e)
{
	int r = intake_open(o->intake, s);

	if (r == 0)
		r = request_pool_init_vectors(&s->pool, s->n_embd);
	return r < 0 ? error_set(e, r,
				 "no memory for %u requests of %u positions, or for the threads that read texts; "
				 "lower --ctx",
				 INTAKE_SESSION_MAX + s->n_engine * BATCH_SEQ_MAX, s->geometry.n_ctx)
		     : 0;
}

int served_init(struct served *s, const struct served_options *o, uint32_t slot, struct error *e)
{
	uint32_t n = o->config->n_replica;

	s->engine = memory_array(n, sizeof(*s->engine));
	if (!s->engine)
		return error_set(e, -ENOMEM, "no memory for %u replicas; lower --replicas", n);
	for (; s->n_engine < n; s->n_engine++) {
		uint32_t i = s->n_engine;

		s->queue[i] = intake_queue(o->intake, slot + i);
		engine_init(&s->engine[i], o->intake, s->queue[i], &o->cores[i]);
	}
	return 0;
}

int served_open(struct served *s, const struct served_options *o, struct error *e)
{
	const struct geometry before = s->geometry;
	int r;

	s->n_draft = config_n_draft(o->own);
	r = load_weights(s, o, e);
	if (r == 0)
		r = open_engines(s, o, e);
	if (r == 0) {
		agree_on_context(s);
		note_facts(s, &before);
		r = open_intake(s, o, e);
	}
	if (r < 0)
		served_close(s);
	return r;
}

static void free_weights(struct served *s)
{
	for (uint32_t i = 0; i < QUEUE_ENGINE_MAX; i++) {
		struct weights *w = s->weights[i];

		for (uint32_t k = i; k < QUEUE_ENGINE_MAX; k++)
			if (s->weights[k] == w)
				s->weights[k] = NULL;
		weights_free(w);
	}
}

void served_close(struct served *s)
{
	for (uint32_t i = 0; i < s->n_engine; i++)
		engine_close(&s->engine[i]);
	intake_shut(s);
	s->chat = chat_free(s->chat);
	s->vocab = vocab_free(s->vocab);
	free_weights(s);
}

void served_deinit(struct served *s)
{
	free(s->engine);
	s->engine = NULL;
	s->n_engine = 0;
}

int served_start(struct served *s)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < s->n_engine; i++)
		if (!load_acquire(&s->engine[i].has_leader)) /* pairs with engine_start */
			r = engine_start(&s->engine[i]);
	return r;
}

void served_stop(struct served *s)
{
	for (uint32_t i = 0; i < s->n_engine; i++)
		engine_stop(&s->engine[i]);
}
