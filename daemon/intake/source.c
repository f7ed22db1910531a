#include "daemon/intake/source.h"

#include <errno.h>

/* Its tokens stay as long as it has its place; one that has been cancelled has none that anybody wants. */
static bool is_source(const struct request *r, uint64_t target)
{
	return r->kept.user_data == target && r->place != REQUEST_NOWHERE && r->op->wants_logits &&
	       !request_is_cancelled(r);
}

int source_find(struct request *r, uint64_t target, uint32_t *n_looked, struct words *w)
{
	struct session *s = r->session;
	struct request *source;
	bool has_one;

	lock_take(&s->lock);
	for (source = s->youngest; source && !is_source(source, target); source = source->older)
		++*n_looked;
	has_one = source && request_await(&r->source, source);
	lock_drop(&s->lock);
	if (has_one)
		return 0;
	return words_set(w, -ENOENT,
			 "no request of this session with the user_data %llu runs or is kept: give the one to go on "
			 "from GYRE_SQE_KEEP, and a keep_ms that is long enough",
			 (unsigned long long)target);
}
