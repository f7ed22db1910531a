/*
 * The daemon's options: a file of `key = value` lines, then the command line over it, with the same keys. One table holds
 * key, default and explanation of each; --help prints it.
 */
#ifndef GYRE_DAEMON_CONFIG_CONFIG_H
#define GYRE_DAEMON_CONFIG_CONFIG_H

#include "daemon/util/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_UID_MAX 16u /* USER_OUTRANK_MAX */

struct config_uids {
	uint32_t n, uid[CONFIG_UID_MAX];
};

struct config {
	char model[PATH_MAX];
	char socket[PATH_MAX];
	uint32_t socket_mode;         /* of its file; 0: the umask's */
	char socket_group[64];        /* of its file; "": the process's */
	char isa[32];                 /* "" or "auto": the best this CPU has */
	char kv_type[16];             /* "f16" or "q8_0" */
	char chat_template[PATH_MAX]; /* a file, or the name of one of gyred's; "": the model's */
	char chat_date[16];           /* YYYY-MM-DD */
	uint32_t n_thread;            /* 0: one per core, within the cgroup's quota */
	uint32_t n_node;              /* 0: one per NUMA node with cores and memory */
	uint32_t n_replica;           /* 1..CONFIG_REPLICA_MAX */
	uint32_t n_ctx;               /* 0: the model's, at most CONFIG_CTX_AUTO */
	uint64_t kv_bytes;            /* 0: four full contexts, or as much as fits */
	uint64_t session_bytes;       /* 0: half of the memory that is left */
	uint32_t core_dumps;          /* 1: dumps hold everything, prompts too */
	uint32_t batch_rows, chunk, share, n_draft, drain_seconds, spin_us;
	struct config_uids outrank; /* users whose priorities count across users */
};

#define CONFIG_CTX_AUTO    8192u
#define CONFIG_SESSION_MIN (2u << 20) /* an ordinary session takes 1.3 MiB */
#define CONFIG_REPLICA_MAX 8u         /* QUEUE_ENGINE_MAX */

enum config_outcome { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION };

/* The defaults, then --config FILE, then the other options. An enum config_outcome, or -EINVAL with e saying what to write. */
int config_parse(struct config *c, int argc, char **argv, struct error *e);
/* Lines of key = value over *c, then those of PATH.d/NAME.conf, by name. Empty lines and # comments are passed over. */
int config_file_read(struct config *c, const char *path, struct error *e);
void config_print_help(FILE *f);

#endif
