/*
 * Inside of a vocabulary; only daemon/text/ includes this. Everything is in bytes as they appear in text: the GPT-2 byte
 * map and SPM's U+2581 are undone once, when the vocab is made, so that no table is consulted per byte later.
 */
#ifndef GYRE_DAEMON_TEXT_VOCAB_H
#define GYRE_DAEMON_TEXT_VOCAB_H

#include "daemon/text/charsmap.h"
#include "daemon/text/nfc.h"
#include "daemon/text/pre.h"
#include "daemon/text/spell.h"
#include "daemon/text/text.h"
#include "daemon/text/tokenizer.h"
#include "daemon/text/trie.h"

#include <errno.h>

#define TOKEN_NONE UINT32_MAX

enum token_type {
	TOKEN_NORMAL = 1,
	TOKEN_UNKNOWN,
	TOKEN_CONTROL,
	TOKEN_USER,
	TOKEN_UNUSED,
	TOKEN_BYTE,
	TOKEN_SHOWN, /* ours: a control token whose text is part of an answer */
	TOKEN_RAW    /* ours: a normal token outside GPT-2's byte map; it has its own text and no input makes it */
};

/* Whether the white space beside an added token goes with it. */
enum strip { STRIP_BEFORE = 1, STRIP_AFTER = 2 };

/* Recognised in a text only where that is trusted. */
static inline bool token_is_control(uint8_t type)
{
	return type == TOKEN_CONTROL || type == TOKEN_UNKNOWN || type == TOKEN_SHOWN;
}

/* Open addressing, at most half full. */
struct merge_slot {
	uint32_t left, right; /* token ids; left TOKEN_NONE: free */
	uint32_t rank, id;
};

struct vocab {
	const struct tokenizer *kind;
	bool add_bos, add_eos, add_space_prefix;
	int32_t bos, eos, unk;
	uint32_t n_token;
	uint32_t token_len_max;  /* of the tokens in `slot` */
	bool spans_words;        /* one of them has a space behind something else */
	char *arena;             /* the bytes of every token */
	struct text_span *token; /* [n_token] */
	uint8_t *type;           /* [n_token] enum token_type */
	float *score;            /* [n_token]; NULL unless kind->is_scored */
	bool *is_end;            /* [n_token] */
	uint8_t *strip;          /* [n_token] enum strip, of added tokens */
	bool *whole;             /* [n_token] BPE: merging the token's bytes gives just the token */
	uint32_t byte_id[256];   /* the token of one byte, TOKEN_NONE if there is none */
	uint32_t *slot;          /* [slot_mask + 1] bytes -> id */
	uint32_t slot_mask;
	struct merge_slot *merge; /* [merge_mask + 1] */
	uint32_t merge_mask;
	uint32_t *added; /* [n_added] control, unknown and user-defined tokens, ascending by bytes */
	uint32_t n_added;
	struct pre pre;
	struct trie trie; /* the tokens of a text, of tokenizers that look for all that begin at a place */
	struct charsmap charsmap;
	bool collapse_space, lowercase, strip_accents; /* how the text is rewritten before */
	bool has_bytes;                                /* byte_id has them all */
	float unknown_score;
	int32_t *weight; /* [n_token] PLaMo's integer scores */
	char warning[256];
};

struct symbol {
	uint32_t prev, next; /* indices; TOKEN_NONE at the ends */
	uint32_t id;         /* BPE */
	uint32_t off, len;   /* len 0: merged into its left neighbour */
};

struct candidate {
	float score;   /* SPM: higher first */
	uint32_t rank; /* BPE: lower first */
	uint32_t left; /* index of the left symbol; ties go to the leftmost */
	uint32_t id;   /* the merged token */
	uint32_t len;  /* bytes it spans: tells a stale candidate */
};

/* Bytes that merge at once: a whole text with a space in front. */
#define SCRATCH_PLACES(max_bytes) ((max_bytes) + 1)
/* Bytes of working memory per byte of text: the symbols and candidates of merging, or the rewritten text and its path. */
#define SCRATCH_PER_BYTE (sizeof(struct symbol) + 2 * sizeof(struct candidate))
/* Places whose best score is kept while a path is sought: longer tokens are refused. */
#define SCRATCH_RING 4096u

struct vocab_scratch {
	size_t max_bytes;
	char *arena; /* [SCRATCH_PLACES][SCRATCH_PER_BYTE] one tokenizer's at a time; untouched memory costs nothing */
	struct symbol *symbol; /* in the arena, [SCRATCH_PLACES] */
	struct candidate
		*heap; /* in the arena, [2 * SCRATCH_PLACES]: n - 1 at first, and a merge takes one and adds two */
	uint32_t n_heap;
	union {
		double score[SCRATCH_RING];
		int64_t weight[SCRATCH_RING];
	} ring;
	char *text; /* [SCRATCH_PLACES] SPM: the text with its leading space; BPE: in form C */
	struct pre_scratch pre;
	size_t n_used;  /* bytes of the longest piece or text that the three above have held since they were wiped */
	size_t n_place; /* places of the longest path, likewise */
};

/* Places of a rewritten text of at most max_bytes: the space in front, the grown text, and the end. */
#define NORMAL_PLACES(max_bytes) ((max_bytes)*CHARSMAP_GROWTH + 2)

_Static_assert(SCRATCH_PER_BYTE >= NFC_ROOM_BYTES + NFC_GROWTH, "form C and what it needs fit the arena");
_Static_assert(SCRATCH_PER_BYTE >= CHARSMAP_GROWTH * (sizeof(uint32_t) + 1),
	       "a rewritten text and its path fit the arena");

/* In the arena: [NORMAL_PLACES] tokens, then the rewritten text [NORMAL_PLACES]. */
static inline uint32_t *scratch_path(struct vocab_scratch *s)
{
	return (uint32_t *)s->arena;
}

static inline char *scratch_normal(struct vocab_scratch *s)
{
	return s->arena + NORMAL_PLACES(s->max_bytes) * sizeof(uint32_t);
}

struct token_out {
	uint32_t *id;
	size_t n, cap;
};

/* -ENOBUFS when full. */
static inline int token_out_put(struct token_out *o, uint32_t id)
{
	if (o->n == o->cap)
		return -ENOBUFS;
	o->id[o->n++] = id;
	return 0;
}

/* For merging alone: no pattern can be matched with it. */
struct vocab_scratch *vocab_scratch_new_merging(size_t max_bytes);

uint32_t vocab_find(const struct vocab *v, const char *p, size_t n);
/* NULL if the two do not merge. */
const struct merge_slot *vocab_find_merge(const struct vocab *v, uint32_t left, uint32_t right);
int vocab_index(struct vocab *v);
int vocab_index_merges(struct vocab *v, const struct text_span *merge, uint32_t n_merge);

/* BPE of one piece, n >= 1: its bytes, or its characters, merge. The other BPE kinds share this, and the init below. */
int bpe_merge(const struct vocab *v, struct vocab_scratch *s, const char *p, size_t n, struct token_out *o);
int bpe_init_merges(struct vocab *v, const struct vocab_source *src, char *err, size_t err_len);
/* The end of the stretch that begins at `at`: no merge reaches over a space behind something else if no token has one. */
uint32_t spm_stretch_end(const struct vocab *v, const char *text, uint32_t at, uint32_t n);

/* Longest added token at p, a control token only within the first n_control bytes; 0: none. */
uint32_t vocab_match_added(const struct vocab *v, const char *p, size_t n, size_t n_control, uint32_t *id);
int vocab_index_added(struct vocab *v);

/* Types by text, before tokens are spelled, and which of them end a generation. */
void special_marks(struct vocab *v, const struct vocab_source *src);
/* Which added tokens strip. */
void special_strip(struct vocab *v, const struct vocab_source *src);
/* Adds a line to v->warning; a line without room is left out. */
void special_warn(struct vocab *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* GPT-2's printable stand-ins for bytes: writes the bytes and returns how many, -1 if p is no such text. */
ssize_t bytemap_decode(char *out, const char *p, size_t n);

void heap_push(struct vocab_scratch *s, struct candidate c);
struct candidate heap_pop(struct vocab_scratch *s);

#endif
