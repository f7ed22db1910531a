#include "daemon/team/cores.h"

#include "shm/atomic.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_for(struct cores_seat *s, uint32_t ticket)
{
	struct cores *c = s->cores;
	uint32_t n;

	store_relaxed(&s->is_waiting, 1);
	fetch_add(&c->n_waiting, 1);
	fence(); /* we are known to wait before we look again; pairs with the fence in cores_give */
	while ((n = load_acquire(&c->n_served)) != ticket) /* pairs with cores_give */
		syscall(SYS_futex, &c->n_served, FUTEX_WAIT_PRIVATE, n, NULL, NULL, 0);
	fetch_add(&c->n_waiting, -1u);
	store_relaxed(&s->is_waiting, 0);
}

bool cores_take(struct cores_seat *s, uint32_t n_row)
{
	uint32_t ticket, before = s->last;

	if (!s->cores || !n_row)
		return false;
	s->is_taken = true;
	ticket = fetch_add(&s->cores->n_ticket, 1);
	if (load_acquire(&s->cores->n_served) != ticket) /* pairs with cores_give */
		wait_for(s, ticket);
	s->last = ticket;
	return ticket != before + 1;
}

void cores_give(struct cores_seat *s)
{
	if (!s->is_taken)
		return;
	s->is_taken = false;
	store_release(&s->cores->n_served, s->last + 1); /* pairs with cores_take and wait_for */
	fence();                                         /* pairs with the fence in wait_for */
	if (load_relaxed(&s->cores->n_waiting))
		syscall(SYS_futex, &s->cores->n_served, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
