/* What every level must do as ref/ does, and each level of the table: a case each, so that one that cannot run here is skipped by name. */
#ifndef GYRE_TESTS_KERNELS_PROOFS_H
#define GYRE_TESTS_KERNELS_PROOFS_H

#include "tests/kernels/data.h"
#include "tests/util/levels.h"

#include <stdio.h>

#define PROOF_MAX 16 /* of a program */

struct proof {
	const char *operation;
	void (*check)(const struct kernels *ref, const struct kernels *k);
	enum kernels_isa isa;
	void (*override)(struct kernels *k); /* of what the level has; NULL: the level as it is */
	char name[64];
};

static inline void equals_ref(void **state)
{
	const struct proof *p = *state;
	struct kernels ref, k;

	if (!kernels_can_run(p->isa))
		skip();
	kernels_select(&ref, ISA_REF);
	kernels_select(&k, p->isa);
	if (p->override) {
		p->override(&k);
		k.isa = p->name;
	}
	p->check(&ref, &k);
}

/* Adds the proofs on a level, as it is or overridden, to tests[n]; returns how many there are then. */
static inline size_t proofs_add_level(struct CMUnitTest *tests, size_t n, const struct proof *proofs, size_t n_proof,
				      enum kernels_isa isa, const char *name, void (*override)(struct kernels *k))
{
	static struct proof of_levels[3 * ISA_MAX][PROOF_MAX];
	static size_t n_level;
	struct proof *p = of_levels[n_level++];

	for (size_t i = 0; i < n_proof; i++, p++) {
		*p = proofs[i];
		p->isa = isa;
		p->override = override;
		snprintf(p->name, sizeof(p->name), "%s on %s%s", p->operation, name, override ? "'s model" : "");
		tests[n++] = (struct CMUnitTest){ p->name, equals_ref, NULL, NULL, p };
	}
	return n;
}

/* The same on all levels. */
static inline size_t proofs_add(struct CMUnitTest *tests, size_t n, const struct proof *proofs, size_t n_proof)
{
	for (int isa = ISA_BASE; kernels_isa_name((enum kernels_isa)isa); isa++) {
		(void)level_runs(isa);
		n = proofs_add_level(tests, n, proofs, n_proof, (enum kernels_isa)isa,
				     kernels_isa_name((enum kernels_isa)isa), NULL);
	}
	return n;
}

#endif
