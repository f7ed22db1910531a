#include "daemon/sched/cache.h"
#include "daemon/kv/prefix.h"
#include "daemon/sched/blocks.h"
#include "daemon/sched/slots.h"
#include "daemon/util/counter.h"
#include "daemon/util/minmax.h"

#include <errno.h>

/* Are there blocks to find, each of a piece? Else a block is a whole context, and there are only states. */
static bool has_blocks(const struct sched *s)
{
	return s->o.block_len == PREFIX_LEN;
}

static bool has_states(const struct sched *s)
{
	return s->kv->book->n_slot > 0;
}

static uint64_t salt_of(const struct sched *s, const struct request *r)
{
	return hashchain_salt(s->o.is_prefix_shared, r->user->uid);
}

static uint32_t piece_block(const struct sched *s, uint32_t piece)
{
	return s->o.prefix->node[piece].block;
}

static uint32_t piece_slot(const struct sched *s, uint32_t piece)
{
	return s->o.prefix->node[piece].slot;
}

/* ---- where a request stands ---- */

static void set_piece(const struct sched *s, struct request *r, uint32_t piece, uint32_t n_piece)
{
	r->piece = piece;
	r->n_piece = n_piece;
	r->piece_generation = n_piece ? s->o.prefix->node[piece].generation : 0;
}

/* Its piece may have been given up, where a window let its blocks go; and it may have lost positions. */
static void find_piece(const struct sched *s, struct request *r)
{
	if (!r->n_piece || !prefix_is(s->o.prefix, r->piece, r->piece_generation))
		set_piece(s, r, PREFIX_NONE, 0);
	while (r->n_piece * PREFIX_LEN > r->kept.n_past)
		set_piece(s, r, s->o.prefix->node[r->piece].parent, r->n_piece - 1);
}

void cache_follow(struct sched *s, struct request *r, const struct request *from, uint32_t n)
{
	if (!s->o.prefix || !from->n_piece || !prefix_is(s->o.prefix, from->piece, from->piece_generation))
		return;
	if (salt_of(s, r) != salt_of(s, from))
		return;
	r->piece = from->piece;
	r->n_piece = from->n_piece;
	while (r->n_piece > n / PREFIX_LEN) {
		r->piece = s->o.prefix->node[r->piece].parent;
		r->n_piece--;
	}
	set_piece(s, r, r->piece, r->n_piece);
}

uint32_t cache_count(struct request *r, uint32_t n)
{
	uint32_t seen = min_u32(r->n_seen, r->kept.n_prompt), end = min_u32(n, r->kept.n_prompt);

	r->n_seen = max_u32(r->n_seen, n);
	if (end <= seen)
		return 0;
	r->kept.n_cached += end - seen;
	return end - seen;
}

/* ---- looking ---- */

/* The furthest that a request can go on from. */
struct find {
	uint32_t n;              /* positions; 0: it stays where it is */
	uint32_t piece, n_piece; /* whole pieces of these */
	uint32_t rest;           /* the piece in which n lies, if it lies in one */
	uint32_t n_known;        /* positions that are known, whether one can go on from there or not */
};

/* Are the blocks there that a row behind n others sees? Those from block `first` on are. */
static bool is_seen(const struct sched *s, uint32_t first, uint32_t n)
{
	return !has_blocks(s) || blocks_sight(s, n) / PREFIX_LEN >= first;
}

/* In a piece behind `piece`, the d-th: `cut`, of which the first n_left tokens are r's, or the nearest. */
static void find_rest(const struct sched *s, const struct request *r, struct find *f, uint32_t piece, uint32_t d,
		      uint32_t cut, uint32_t n_left, uint32_t first)
{
	uint32_t run = n_left;

	if (!n_left)
		return;
	if (cut == PREFIX_NONE || has_states(s))
		cut = prefix_find_near(s->o.prefix, piece, salt_of(s, r), r->token + d * PREFIX_LEN, n_left,
				       has_states(s), &run);
	if (cut == PREFIX_NONE || (has_blocks(s) && piece_block(s, cut) == PREFIX_NONE))
		return;
	if (is_seen(s, first, d * PREFIX_LEN + run))
		*f = (struct find){ d * PREFIX_LEN + run, piece, d, cut, f->n_known };
}

/* The blocks of the way lie in r->block, not yet held. */
static void look(const struct sched *s, const struct request *r, uint32_t n_max, struct find *f)
{
	uint32_t piece = r->piece, d = r->n_piece, first = r->kept.n_gone, next = PREFIX_NONE;

	for (; (d + 1) * PREFIX_LEN <= r->kept.n_token; d++) {
		uint32_t n = (d + 1) * PREFIX_LEN;

		next = prefix_find(s->o.prefix, piece, salt_of(s, r), r->token + d * PREFIX_LEN);
		if (next == PREFIX_NONE || n > n_max)
			break;
		if (has_blocks(s) && piece_block(s, next) == PREFIX_NONE) {
			if (r->kept.n_past) /* what it holds would not go on without a gap */
				return;
			first = d + 1;
		}
		if (has_blocks(s))
			r->block[d] = piece_block(s, next);
		piece = next;
		next = PREFIX_NONE;
		f->n_known = n;
		if (is_seen(s, first, n) && (!has_states(s) || piece_slot(s, piece) != PREFIX_NONE))
			*f = (struct find){ n, piece, d + 1, PREFIX_NONE, n };
	}
	if (n_max > d * PREFIX_LEN)
		find_rest(s, r, f, piece, d, next, min_u32(n_max - d * PREFIX_LEN, PREFIX_LEN), first);
}

/* ---- taking ---- */

/* Holds of the whole blocks. false: not of all of them. */
static bool hold_pieces(struct sched *s, struct request *r, const struct find *f)
{
	if (!r->kept.n_past)
		r->kept.n_gone = r->kept.n_block = min_u32(blocks_sight(s, f->n) / PREFIX_LEN, f->n_piece);
	while (r->kept.n_block < f->n_piece)
		if (!blocks_hold(s, r, r->block[r->kept.n_block]))
			return false;
	return true;
}

/* A copy of the block that is partly its own. It may not be given up meanwhile. */
static bool copy_rest(struct sched *s, struct request *r, uint32_t from)
{
	uint32_t user = r->user->index;
	bool has_copy;

	if (kv_get(s->kv, user, from) < 0)
		return false;
	cache_note_block(s, from);
	has_copy = blocks_take(s, r);
	if (has_copy)
		kv_copy(s->kv, r->block[r->kept.n_block - 1], from);
	blocks_put(s, r, from);
	return has_copy;
}

/* The state behind a piece; the piece's own slot, if there is no other. */
static bool copy_state(struct sched *s, struct request *r, uint32_t piece)
{
	struct prefix *p = s->o.prefix;

	prefix_use_slot(p, piece);
	r->kept.n_replay = p->node[piece].n_replay;
	if (!slots_take_free(s, r)) {
		if (p->state.oldest == piece) {
			slots_adopt(s, r, prefix_take_slot(p, piece));
			return true;
		}
		if (!slots_take(s, r))
			return false;
	}
	kv_slot_copy(s->kv, r->kept.slot, piece_slot(s, piece));
	return true;
}

/* All of it, or where a whole block is of use alone, up to there. Returns how far r has come; 0: it holds nothing. */
static uint32_t take(struct sched *s, struct request *r, const struct find *f)
{
	bool is_whole = !has_blocks(s) ? blocks_take(s, r) : hold_pieces(s, r, f);
	bool may_cut = !has_states(s) && !s->o.window;

	if (is_whole && has_states(s))
		is_whole = copy_state(s, r, f->rest == PREFIX_NONE ? f->piece : f->rest);
	if (is_whole && has_blocks(s) && f->rest != PREFIX_NONE)
		is_whole = copy_rest(s, r, piece_block(s, f->rest));
	if (is_whole)
		return f->n;
	if (may_cut)
		return r->kept.n_block * PREFIX_LEN;
	blocks_release(s, r);
	return 0;
}

/* Where its prompt is to leave checkpoints: behind what is known, and before its end. */
static void mark(struct request *r, const struct find *f)
{
	uint32_t n = r->kept.n_past, known = f->n_known / PREFIX_LEN * PREFIX_LEN,
		 end = (r->kept.n_prompt - 1) / PREFIX_LEN * PREFIX_LEN;

	r->mark[0] = known > n ? known : 0;
	r->mark[1] = end > n ? end : 0;
}

/* Does it stand where the cache may take it on? At its beginning, or, without states, at the edge of its last block. */
static bool may_advance(const struct sched *s, const struct request *r)
{
	if (!r->kept.n_past)
		return !blocks_held(r) && !r->kept.has_slot;
	return !has_states(s) && r->kept.n_past < r->kept.n_prompt && r->n_piece == r->kept.n_block &&
	       r->n_piece * PREFIX_LEN == r->kept.n_past;
}

void cache_advance(struct sched *s, struct request *r)
{
	struct find f = { 0, PREFIX_NONE, 0, PREFIX_NONE, 0 };
	uint32_t n_max, n;

	if (!s->o.prefix)
		return;
	find_piece(s, r);
	n_max = min_u32(blocks_spare_rows(r), r->kept.n_past + request_rows_left(r) - 1); /* a row is left to run */
	if (!may_advance(s, r) || !request_rows_left(r) || n_max <= r->kept.n_past)
		return;
	if (!r->n_seen && !r->has_asked)
		counter_add(&s->n_cache_query, r->kept.n_prompt);
	r->has_asked = true;
	look(s, r, n_max, &f);
	n = f.n > r->kept.n_past ? take(s, r, &f) : 0;
	if (n) {
		counter_add(&s->n_cache_hit, cache_count(r, n));
		r->kept.n_past = n;
		set_piece(s, r, f.piece, f.n_piece);
		find_piece(s, r); /* it may have come less far */
	}
	if (has_states(s))
		mark(r, &f);
}

/* ---- leaving ---- */

uint32_t cache_limit_rows(const struct sched *s, const struct request *r, uint32_t n)
{
	for (int i = 0; s->o.prefix && has_states(s) && i < 2; i++)
		if (r->mark[i] > r->kept.n_past)
			n = min_u32(n, r->mark[i] - r->kept.n_past);
	return n;
}

/* Its next block belongs to the piece; or the piece's is its own from now on: what is in them is the same. */
static void share_block(struct sched *s, struct request *r, uint32_t piece, uint32_t i)
{
	struct prefix *p = s->o.prefix;
	uint32_t own, *block = &r->block[i];

	if (i < r->kept.n_gone || i >= r->kept.n_block || piece_block(s, piece) == *block)
		return;
	if (piece_block(s, piece) == PREFIX_NONE) {
		if (p->of_block[*block] == PREFIX_NONE)
			prefix_set_block(p, piece, *block);
		return;
	}
	if (kv_get(s->kv, r->user->index, piece_block(s, piece)) < 0)
		return;
	own = *block;
	*block = piece_block(s, piece);
	cache_note_block(s, *block);
	blocks_put(s, r, own);
}

/* Pieces up to n, a multiple of their length. false: there is no room for all of them. */
static bool extend(struct sched *s, struct request *r, uint32_t n)
{
	while (r->n_piece * PREFIX_LEN < n) {
		uint32_t i = r->n_piece, piece;
		const int32_t *token = r->token + i * PREFIX_LEN;

		if (has_blocks(s) && i < r->kept.n_gone)
			piece = prefix_find(s->o.prefix, r->piece, salt_of(s, r), token);
		else
			piece = prefix_add(s->o.prefix, r->piece, salt_of(s, r), token, PREFIX_LEN);
		if (piece == PREFIX_NONE)
			return false;
		if (has_blocks(s))
			share_block(s, r, piece, i);
		set_piece(s, r, piece, i + 1);
	}
	return true;
}

/* Pieces on its way that nothing came of are gone. */
static void tidy(const struct sched *s, const struct request *r)
{
	if (r->n_piece && prefix_is(s->o.prefix, r->piece, r->piece_generation))
		prefix_trim(s->o.prefix, r->piece);
}

/* A copy of its state, behind its last piece. */
static void leave_checkpoint(struct sched *s, struct request *r)
{
	if (extend(s, r, r->kept.n_past))
		prefix_copy_slot(s->o.prefix, r->piece, r->kept.slot, r->kept.n_replay);
	tidy(s, r);
}

void cache_note(struct sched *s, struct request *r)
{
	if (!s->o.prefix || !r->kept.n_past || r->kept.n_past == r->n_noted)
		return;
	r->n_noted = r->kept.n_past;
	r->n_seen = max_u32(r->n_seen, r->kept.n_past);
	find_piece(s, r);
	if (has_blocks(s))
		(void)extend(s, r, r->kept.n_past / PREFIX_LEN * PREFIX_LEN);
	for (int i = 0; i < 2; i++)
		if (r->kept.has_slot && r->mark[i] && r->mark[i] == r->kept.n_past) {
			leave_checkpoint(s, r);
			break;
		}
}

/* The piece that ends where r does. PREFIX_NONE: there is no room, or others have as much. */
static uint32_t end_piece(struct sched *s, struct request *r)
{
	struct prefix *p = s->o.prefix;
	uint32_t n = r->kept.n_past % PREFIX_LEN, at = r->kept.n_past / PREFIX_LEN, run;
	const int32_t *token = r->token + at * PREFIX_LEN;

	if (!n)
		return r->piece;
	if (!has_states(s)) {
		if (n < PREFIX_RUN || at < r->kept.n_gone || at >= r->kept.n_block)
			return PREFIX_NONE;
		(void)prefix_find_near(p, r->piece, salt_of(s, r), token, n, false, &run);
		if (run == n)
			return PREFIX_NONE;
	}
	return prefix_add(p, r->piece, salt_of(s, r), token, n);
}

/* What it would give back stays: the block that is not full, and its state. */
static void leave_end(struct sched *s, struct request *r)
{
	struct prefix *p = s->o.prefix;
	uint32_t piece = end_piece(s, r), at = r->kept.n_past / PREFIX_LEN;

	if (piece == PREFIX_NONE)
		return;
	if (has_blocks(s) && r->kept.n_past % PREFIX_LEN && at >= r->kept.n_gone && at < r->kept.n_block &&
	    piece_block(s, piece) == PREFIX_NONE && p->of_block[r->block[at]] == PREFIX_NONE)
		prefix_set_block(p, piece, r->block[at]);
	if (r->kept.has_slot && piece_slot(s, piece) == PREFIX_NONE) {
		prefix_set_slot(p, piece, r->kept.slot, r->kept.n_replay);
		slots_leave(s, r);
	}
	prefix_trim(p, piece);
}

/* Its numbers were none: what it alone holds is not to be found. */
static void forget(struct sched *s, struct request *r)
{
	struct prefix *p = s->o.prefix;

	for (uint32_t i = r->n_piece; i-- > 0;) {
		uint32_t piece = r->piece, parent = p->node[piece].parent;

		if (piece_slot(s, piece) != PREFIX_NONE)
			kv_slot_put(s->kv, prefix_take_slot(p, piece));
		if (piece_block(s, piece) != PREFIX_NONE && kv_n_user_hold(s->kv, piece_block(s, piece)) <= 1)
			prefix_drop_block(p, piece);
		r->piece = parent;
	}
	set_piece(s, r, PREFIX_NONE, 0);
}

void cache_end(struct sched *s, struct request *r)
{
	if (!s->o.prefix || !blocks_held(r))
		return;
	find_piece(s, r);
	if (r->kept.res == -EDOM) {
		forget(s, r);
		return;
	}
	if (extend(s, r, r->kept.n_past / PREFIX_LEN * PREFIX_LEN) && r->kept.n_past)
		leave_end(s, r);
	tidy(s, r);
	set_piece(s, r, PREFIX_NONE, 0);
}

/* ---- making room ---- */

bool cache_evict_block(struct sched *s)
{
	return s->o.prefix && prefix_evict_block(s->o.prefix);
}

bool cache_evict_slot(struct sched *s)
{
	return s->o.prefix && prefix_evict_slot(s->o.prefix);
}

void cache_note_block(struct sched *s, uint32_t block)
{
	if (s->o.prefix)
		prefix_note_block(s->o.prefix, block);
}

bool cache_detach(struct sched *s, uint32_t block)
{
	uint32_t piece = s->o.prefix ? s->o.prefix->of_block[block] : PREFIX_NONE;

	if (kv_n_user_hold(s->kv, block) != 1)
		return false;
	if (piece != PREFIX_NONE)
		prefix_drop_block(s->o.prefix, piece);
	return kv_n_hold(s->kv, block) == 1;
}

/* ---- what it holds ---- */

uint32_t cache_n_block(const struct sched *s)
{
	return s->o.prefix ? s->o.prefix->n_block : 0;
}

uint32_t cache_n_slot(const struct sched *s)
{
	return s->o.prefix ? s->o.prefix->n_slot : 0;
}

int cache_check(const struct sched *s)
{
	return s->o.prefix ? prefix_check(s->o.prefix) : 0;
}
