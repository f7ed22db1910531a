/*
 * `gyre reserve`: huge pages for the weights and KV pools of a configuration's models, on the node of each. What others have reserved stays,
 * and so does memory for everybody else; what cannot be had is said, with the reason, and is no failure: gyred takes smaller pages.
 * gyred-hugepages.service runs it before the daemon, while memory is still in one piece. --root takes another machine's tree.
 */
#include "tools/tool.h"

#include "daemon/config/config.h"
#include "daemon/engine/layouts.h"
#include "daemon/engine/demand.h"
#include "daemon/machine/placement.h"
#include "daemon/util/minmax.h"
#include "daemon/util/readfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES ((size_t)2 << 20)
#define HUGE_DIR   "hugepages/hugepages-2048kB"
#define KEEP_SHARE 8u /* of a node's memory, one part stays in ordinary pages */
#define CLAIM_MAX  (NODE_MAX + 1u)

/* What is wanted of a node. */
struct claim {
	int os_node; /* -1: of the machine */
	size_t weights, kv, n_page;
};

struct claims {
	uint32_t n;
	struct claim at[CLAIM_MAX];
};

static struct claim *claim_of(struct claims *c, int os_node)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->at[i].os_node == os_node)
			return &c->at[i];
	c->at[c->n] = (struct claim){ .os_node = os_node };
	return &c->at[c->n++];
}

static size_t pages(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

static int claim_model(struct claims *c, const struct config_model *own, const struct layouts *l, uint32_t n_engine,
		       struct error *e)
{
	for (uint32_t i = 0; i < n_engine; i++) {
		bool is_shared = layouts_weights_of(l, i) < i;
		struct demand demand;
		int r = demand_read(&demand, own, &l->engine[i], e);

		if (r < 0)
			return r;
		for (int k = 0; k < demand.n_node; k++) {
			struct claim *at = claim_of(c, l->engine[i].node[k].os_node);
			size_t weights = is_shared ? 0 : demand.weights[k];

			at->weights += weights;
			at->kv += demand.kv[k];
			at->n_page += pages(weights) + pages(demand.kv[k]);
		}
	}
	return 0;
}

/* ---- the kernel's files ---- */

static void file_of(char *path, size_t n, int os_node, const char *name)
{
	if (os_node < 0)
		snprintf(path, n, "/sys/kernel/mm/" HUGE_DIR "/%s", name);
	else
		snprintf(path, n, "/sys/devices/system/node/node%d/" HUGE_DIR "/%s", os_node, name);
}

static int read_pages(const char *root, int os_node, const char *name, uint64_t *n)
{
	char path[128], text[64];

	file_of(path, sizeof(path), os_node, name);
	if (readfile_str(text, sizeof(text), root, path) < 0)
		return -ENOENT;
	*n = strtoull(text, NULL, 10);
	return 0;
}

static int write_text(const char *root, const char *path, const char *text)
{
	char whole[PATH_MAX];
	int fd, r = 0;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	fd = open(whole, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int write_pages(const char *root, int os_node, uint64_t n)
{
	char path[128], text[32];

	file_of(path, sizeof(path), os_node, "nr_hugepages");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return write_text(root, path, text);
}

/* The kernel gives as many as it finds in one piece, and says nothing. Once more after it has been asked to move the rest together. */
static int grow(const char *root, int os_node, uint64_t want, uint64_t *has)
{
	int r = write_pages(root, os_node, want);

	if (r == 0)
		r = read_pages(root, os_node, "nr_hugepages", has);
	if (r < 0 || *has >= want)
		return r;
	(void)write_text(root, "/proc/sys/vm/compact_memory", "1");
	r = write_pages(root, os_node, want);
	return r < 0 ? r : read_pages(root, os_node, "nr_hugepages", has);
}

/* ---- a node ---- */

/* Pages that ordinary memory can give up. */
static uint64_t pages_at_most(const char *root, const struct topology *t, int os_node)
{
	size_t available = placement_available(root, os_node), keep = 0;
	int i = os_node < 0 ? -1 : numa_index(&t->numa, os_node);

	if (available == SIZE_MAX)
		return UINT64_MAX;
	for (int k = 0; k < t->numa.n; k++)
		keep += i < 0 || k == i ? t->numa.node[k].mem_bytes / KEEP_SHARE : 0;
	return available > keep ? (available - keep) / PAGE_BYTES : 0;
}

static void say_wanted(const struct claim *c, uint64_t n_free)
{
	if (c->os_node < 0)
		printf("any node: ");
	else
		printf("node %d: ", c->os_node);
	printf("%zu pages of 2 MiB wanted (weights %.1f MiB, keys and values %.1f MiB), %llu free", c->n_page,
	       (double)c->weights / (1 << 20), (double)c->kv / (1 << 20), (unsigned long long)n_free);
}

static int refuse_write(const struct claim *c, int r)
{
	char path[128];

	file_of(path, sizeof(path), c->os_node, "nr_hugepages");
	putchar('\n');
	return fail(TOOL_FAILED, "%s: %s; run gyre reserve as root", path, strerror(-r));
}

static int reserve(const struct args *a, const struct topology *t, const struct claim *c)
{
	const char *root = a->root ? a->root : "";
	uint64_t total, n_free, most, more, has;
	int r = read_pages(root, c->os_node, "nr_hugepages", &total);

	if (r == 0)
		r = read_pages(root, c->os_node, "free_hugepages", &n_free);
	if (r < 0)
		return fail(TOOL_FAILED,
			    "this kernel has no huge pages of 2 MiB (CONFIG_HUGETLBFS); gyred does without");
	say_wanted(c, n_free);
	if (n_free >= c->n_page) {
		puts(": nothing to do");
		return TOOL_OK;
	}
	most = pages_at_most(root, t, c->os_node);
	more = c->n_page - n_free < most ? c->n_page - n_free : most;
	has = total + more;
	r = a->dry_run || !more ? 0 : grow(root, c->os_node, total + more, &has);
	if (r < 0)
		return refuse_write(c, r);
	printf(": %llu %s", (unsigned long long)(has > total ? has - total : 0),
	       a->dry_run ? "would be reserved" : "reserved");
	if (has < total + more)
		printf(", for the kernel has no more in one piece; reserve earlier, or say hugepages=%llu to the "
		       "kernel at boot",
		       (unsigned long long)(total + more));
	else if (more == most && n_free + more < c->n_page)
		printf(", and no more, for an eighth of memory stays in ordinary pages; say a smaller kv-bytes or ctx, "
		       "or "
		       "kv-type = q8_0");
	putchar('\n');
	return TOOL_OK;
}

static int make_claims(struct claims *claims, const char *path, const struct topology *t, struct error *e)
{
	char *argv[] = { (char *)"gyred", (char *)"--config", (char *)path, NULL };
	static struct layouts l;
	static struct config c;
	int r = config_parse(&c, 3, argv, e);

	if (r == CONFIG_RUN)
		r = layouts_divide(&l, t, &c, e);
	for (uint32_t i = 0; r == 0 && i < c.n_model; i++)
		r = claim_model(claims, &c.model[i], &l, c.n_replica, e);
	return r;
}

int reserve_main(const struct args *a)
{
	const char *root = a->root ? a->root : "";
	static struct topology t;
	struct claims claims = { 0 };
	struct error e;
	int r = topology_read(&t, root, NULL), code = TOOL_OK;

	if (r < 0)
		return fail(TOOL_FAILED, "%s/sys/devices/system/cpu: %s", root, strerror(-r));
	r = make_claims(&claims, a->n_word ? a->word[0] : CONFIG_FILE, &t, &e);
	if (r < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	for (uint32_t i = 0; i < claims.n && code == TOOL_OK; i++)
		code = reserve(a, &t, &claims.at[i]);
	return code;
}
