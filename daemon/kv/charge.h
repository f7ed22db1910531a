/*
 * Whom blocks are charged to: kv.c's. A block has a charge for each user that holds it, with the number of its holds. Nearly always that
 * is one user, and a charge lies ready for each block; of further ones there are as many in all as there are blocks. Nothing is searched
 * longer than a block has users.
 */
#ifndef GYRE_DAEMON_KV_CHARGE_H
#define GYRE_DAEMON_KV_CHARGE_H

#include "daemon/kv/kv.h"

size_t charge_bytes(size_t n_block);
void charge_init(struct kv_book *k);
/* A block that was free has a first hold; a further one: 0, or -ENOSPC. */
void charge_open(struct kv_book *k, uint32_t user, uint32_t block);
int charge_add(struct kv_book *k, uint32_t user, uint32_t block);
/* A hold less. is_free: it was the last, nobody's included. */
void charge_drop(struct kv_book *k, uint32_t user, uint32_t block, bool is_free);
/* Holds of users. */
uint32_t charge_sum(const struct kv_book *k, uint32_t block);
/* holder[n_block]: holds of each block. 0, or -EUCLEAN. */
int charge_check(const struct kv_book *k, const uint32_t *holder);

#endif
