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
};

static inline void equals_ref(void **state)
{
	const struct proof *p = *state;
	struct kernels ref, k;

	if (!kernels_can_run(p->isa))
		skip();
	kernels_select(&ref, ISA_REF);
	kernels_select(&k, p->isa);
	p->check(&ref, &k);
}

static inline size_t add_level(struct CMUnitTest *tests, size_t n, const struct proof *proofs, size_t n_proof,
			       enum kernels_isa isa)
{
	static struct proof of_level[ISA_MAX][PROOF_MAX];
	static char names[ISA_MAX][PROOF_MAX][64];

	(void)level_runs((int)isa);
	for (size_t i = 0; i < n_proof; i++) {
		struct proof *p = &of_level[isa][i];

		*p = proofs[i];
		p->isa = isa;
		snprintf(names[isa][i], sizeof(names[isa][i]), "%s on %s", p->operation, kernels_isa_name(isa));
		tests[n++] = (struct CMUnitTest){ names[isa][i], equals_ref, NULL, NULL, p };
	}
	return n;
}

/* Adds the proofs on all levels to tests[n]; returns how many there are then. */
static inline size_t proofs_add(struct CMUnitTest *tests, size_t n, const struct proof *proofs, size_t n_proof)
{
	for (int isa = ISA_BASE; kernels_isa_name((enum kernels_isa)isa); isa++)
		n = add_level(tests, n, proofs, n_proof, (enum kernels_isa)isa);
	return n;
}

#endif
