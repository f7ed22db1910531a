/*
 * The daemon's options: a file of `key = value` lines, then the command line over it, with the same keys. One table holds
 * key, default and explanation of each; --help, the man pages and the completions are printed from it.
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

#define CONFIG_MODEL_MAX 8u  /* SERVED_MAX */
#define CONFIG_NAME_MAX  64u /* of a model; ABI_NAME_MAX */
#define CONFIG_QUOTA_MAX 64u
#define CONFIG_KEY_MAX   64u /* a bit of `set` each */

/* Where a key was set. */
struct config_origin {
	uint32_t
		path; /* of the file: behind so many bytes of config.paths, plus 1; 0: on the command line, or nowhere */
	uint32_t line;
};

/* As the words of the option. */
enum config_draft { CONFIG_DRAFT_AUTO, CONFIG_DRAFT_NONE };

/* A model, and what is its own. */
struct config_model {
	uint64_t set; /* of the rows of the table of options: those that were given for it */
	struct config_origin origin[CONFIG_KEY_MAX];
	char file[PATH_MAX];          /* of the first part */
	char name[CONFIG_NAME_MAX];   /* what sessions ask for; "": the file's, without .gguf */
	char kv_type[16];             /* "f16" or "q8_0" */
	char chat_template[PATH_MAX]; /* a file, or the name of one of gyred's; "": the model's */
	uint32_t n_ctx;               /* 0: the model's, at most CONFIG_CTX_AUTO */
	uint64_t kv_bytes;            /* 0: four full contexts, or as much as fits */
	uint32_t draft;               /* enum config_draft */
	uint32_t draft_max, draft_min;
	uint32_t idle_seconds; /* without a request, and its memory is given back; 0: never */
};

/* Guesses of a stream in a step at most; 0: none are made. */
static inline uint32_t config_n_draft(const struct config_model *m)
{
	return m->draft == CONFIG_DRAFT_NONE ? 0 : m->draft_max;
}

/* What is logged: nothing, what fails, each request too, everything. */
enum config_log_level { CONFIG_LOG_OFF, CONFIG_LOG_ERRORS, CONFIG_LOG_REQUESTS, CONFIG_LOG_DEBUG };

enum config_whom { CONFIG_EVERYBODY, CONFIG_UID, CONFIG_GID };

/* What one user may have; 0: no limit but what all users share. */
struct config_quota {
	uint64_t set;
	struct config_origin origin[CONFIG_KEY_MAX];
	enum config_whom whom;
	uint32_t id; /* uid or gid */
	uint32_t n_session, n_request;
	uint64_t arena_bytes;     /* rings and arenas of all its sessions */
	uint32_t n_position;      /* positions of keys and values that its requests hold at once */
	uint32_t n_pinned;        /* of these, that it keeps pinned */
	uint32_t tokens_a_second; /* read and generated */
	uint32_t weight;          /* parts of the time that it has while others have theirs */
	uint32_t priority;        /* no request is before this one; 0: any */
	char models[256];         /* names with commas between them; "": all */
};

struct config {
	struct config_origin origin[CONFIG_KEY_MAX];
	char paths[8192];  /* of the files that were read, each with its NUL; those that do not fit are in no message */
	uint32_t n_paths;  /* bytes; 0: no file was read */
	const char *print; /* of --print */
	bool is_check;     /* of --check */
	struct config_model model[CONFIG_MODEL_MAX],
		any; /* [n_model], the first is the default; any: what they have unless they say more */
	uint32_t n_model;
	struct config_quota quota[CONFIG_QUOTA_MAX],
		everybody; /* [n_quota]; a user's before its groups', these before everybody's */
	uint32_t n_quota;
	char socket[PATH_MAX];
	uint32_t socket_mode;   /* of its file; 0: the umask's */
	char socket_group[64];  /* of its file; "": the process's */
	char isa[32];           /* "" or "auto": the best this CPU has */
	char chat_date[16];     /* YYYY-MM-DD */
	uint32_t n_thread;      /* 0: one per core, within the cgroup's quota */
	uint32_t n_node;        /* 0: one per NUMA node with cores and memory */
	uint32_t n_replica;     /* 1..CONFIG_REPLICA_MAX */
	uint64_t session_bytes; /* 0: half of the memory that is left */
	uint32_t core_dumps;    /* 1: dumps hold everything, prompts too */
	uint32_t batch_rows, gap_ms, drain_seconds, spin_us;
	uint32_t prefix_cache, share_prefixes;
	char metrics_socket[PATH_MAX]; /* "": none */
	enum config_log_level log_level;
	uint32_t slow_ms;           /* to the first token, and a request is logged as slow; 0: none is */
	uint64_t memory;            /* of all models and pools; 0: what the machine or the cgroup has */
	uint32_t seccomp;           /* 1: system calls that serving does not need are denied */
	struct config_uids outrank; /* users whose priorities count across users */
	struct config_uids admin;   /* who may load and unload models, beside root and gyred's own user */
};

#define CONFIG_CTX_AUTO    8192u
#define CONFIG_SESSION_MIN (2u << 20) /* an ordinary session takes 1.3 MiB */
#define CONFIG_REPLICA_MAX 8u         /* QUEUE_ENGINE_MAX */

enum config_outcome { CONFIG_RUN, CONFIG_CHECK, CONFIG_HELP, CONFIG_VERSION, CONFIG_PRINT };

/*
 * The defaults, then --config FILE, then the other options. An enum config_outcome, or -EINVAL with e saying what to write. CONFIG_PRINT:
 * what config_print writes of it has been asked for, and c->print says what.
 */
int config_parse(struct config *c, int argc, char **argv, struct error *e);
/* The file and line of an origin, "PATH:LINE: ", or "". Returns text. */
const char *config_where(const struct config *c, const struct config_origin *o, char *text, size_t n);
/* What config_take has done, a line of the log for each difference. */
struct config_change {
	void (*say)(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
	void (*warn)(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
	uint32_t n_taken, n_left;   /* keys that count from now on, and that need a restart */
	bool session_bytes, access; /* these have changed: session-bytes; socket-mode or socket-group */
};
/* Of `new`, which has been read again and checked, what can change while *live is served. Fields that other threads read are atomic. */
void config_take(struct config *live, struct config *new, struct config_change *change);
/* Lines of key = value over *c, then those of PATH.d/NAME.conf, by name. Empty lines and # comments are passed over. */
int config_file_read(struct config *c, const char *path, struct error *e);
/* A model without a name gets its file's, without folder and .gguf. */
void config_name_model(struct config_model *m);
/* In lines of `width` characters. */
void config_print_help(FILE *f, uint32_t width);
/* For bash, zsh, fish; `keys` for gyred.conf(5), `options` for gyred(8). -EINVAL: it is none of these. */
int config_print(FILE *f, const char *what);

#endif
