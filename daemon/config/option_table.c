#include "daemon/config/option.h"

#include "daemon/machine/layout.h"

#define FIELD(f)       SCOPE_DAEMON, offsetof(struct config, f), sizeof(((struct config *)0)->f)
#define MODEL_FIELD(f) SCOPE_MODEL, offsetof(struct config_model, f), sizeof(((struct config_model *)0)->f)
#define QUOTA_FIELD(f) SCOPE_QUOTA, offsetof(struct config_quota, f), sizeof(((struct config_quota *)0)->f)
#define SOCKET_MAX     107 /* bytes of a UNIX socket's path */

const struct option_row option_table[OPTION_COUNT] = {
	{ "socket", "PATH", "", "listen here (default: $XDG_RUNTIME_DIR/gyre.sock, else /run/gyre/gyre.sock)",
	  "A socket that the service manager hands over is used instead. Its folder has to be there, but for "
	  "/run/gyre, which is made.",
	  KIND_PATH, FIELD(socket), 0, SOCKET_MAX, WHEN_RESTARTED },
	{ "socket-mode", "MODE", "0", "mode of the socket's file, such as 0660; 0: the umask's",
	  "Who may write to the file may connect. Of a socket that the service manager hands over, its unit says this "
	  "(SocketMode=).",
	  KIND_MODE, FIELD(socket_mode), 0, 0777, WHEN_RELOADED },
	{ "socket-group", "NAME", "", "group of the socket's file (default: gyred's own)",
	  "One that gyred is in, unless it runs as root. With a socket-mode that lets the group write.",
	  KIND_GROUP_NAME, FIELD(socket_group), 0, 0, WHEN_RELOADED },
	{ "metrics-socket", "PATH", "", "figures for Prometheus can be read here (default: nowhere)", "", KIND_PATH,
	  FIELD(metrics_socket), 0, SOCKET_MAX, WHEN_RESTARTED },
	{ "log-level", "off|errors|requests|debug", "errors", "what is logged of requests",
	  "off: nothing; errors: of those that fail; requests: of all; debug: more, for a developer. Nothing of a "
	  "user's text is in a log at any level.",
	  KIND_WORD, FIELD(log_level), 0, 0, WHEN_RELOADED },
	{ "slow-ms", "N", "0", "a request that waits longer for its first token is logged; 0: none", "", KIND_U32,
	  FIELD(slow_ms), 0, 86400000, WHEN_RELOADED },
	{ "priority-uids", "UIDS", "",
	  "such as 0,1000: their priorities below 128 go before everybody's, not only their own",
	  "Up to 16 numbers with commas between them. For everybody else a priority orders the requests of its own "
	  "user only.",
	  KIND_UIDS, FIELD(outrank), 0, 0, WHEN_RELOADED },
	{ "admin-uids", "UIDS", "", "who may load and unload models, beside root and gyred's own user", "", KIND_UIDS,
	  FIELD(admin), 0, 0, WHEN_RELOADED },
	{ "drain-seconds", "N", "30", "after SIGTERM, running requests may go on this long", "", KIND_U32,
	  FIELD(drain_seconds), 0, 86400, WHEN_RELOADED },
	{ "session-bytes", "BYTES", "0",
	  "rings and arenas of all clients together, a user half of what others leave; 0: half of the memory left",
	  "Bytes, or a number with K, M, G or T, of 1024, as 512M or 4GiB. A user may open another session as long as "
	  "it leaves at "
	  "least as much to others as all of its own have, and one of usual size as long as there is any room; who is "
	  "refused is "
	  "told. 0 is half of the memory that is left when everything is loaded, at least 16 MiB. Less than 2M holds "
	  "no client's "
	  "rings and is refused. An arena that its client does not fill takes nothing, and gyred's reading it takes "
	  "nothing either.",
	  KIND_BYTES, FIELD(session_bytes), 0, UINT64_MAX, WHEN_RELOADED },
	{ "memory", "BYTES", "0", "weights and pools of all models together; 0: what the machine or the cgroup has",
	  "A model that does not fit beside those that are loaded is refused.", KIND_BYTES, FIELD(memory), 0,
	  UINT64_MAX, WHEN_RESTARTED },
	{ "threads", "N", "0", "workers; 0: one per core, within the CPU quota",
	  "0 takes one per physical core in the affinity mask, of performance cores only where there are two kinds, "
	  "within the "
	  "cgroup's CPU quota; the log says which. More than cores: efficiency cores, then second hardware threads; "
	  "more than "
	  "those: not pinned.",
	  KIND_U32, FIELD(n_thread), 0, 1024, WHEN_RESTARTED },
	{ "nodes", "N", "0", "nodes that share a model; 0: one per NUMA node with cores and memory",
	  "Of each replica; at most 8 in all, each with its threads and its memory. 0 takes fewer where there are too "
	  "few threads to "
	  "draw what the memory of one gives; and fewer, with a warning, where the model is too small for them or a "
	  "container "
	  "forbids mbind(2). More than there are: virtual nodes. Fewer: neighbours are merged. `gyre plan --topology` "
	  "shows what "
	  "comes of it.\n"
	  "A node's memory lies on its NUMA node, which the log states for each. One that has too little is refused, "
	  "as is what the "
	  "cgroup's memory limit does not leave room for, and so are nodes that were asked for and cannot be had; one "
	  "node alone "
	  "goes unbound, with a warning.",
	  KIND_U32, FIELD(n_node), 0, NODE_MAX, WHEN_RESTARTED },
	{ "replicas", "N", "1", "engines that share the requests and divide the threads: one per NUMA node, say",
	  "They divide threads and nodes evenly, and each has its own KV pool; those on the same memory share one copy "
	  "of the "
	  "weights, others have one each. A request runs on the engine with the least load and gives the same bytes on "
	  "each. One: "
	  "all threads work on every step. One for each NUMA node: no step waits for another node, and no stream has "
	  "the memory of "
	  "two.",
	  KIND_U32, FIELD(n_replica), 1, CONFIG_REPLICA_MAX, WHEN_RESTARTED },
	{ "isa", "NAME", "auto", "kernels: auto or",
	  "auto takes the best that this CPU has. Others: ref, or, on x86-64, avx2, avxvnni, avx512vnni, zen4 or amx, "
	  "or, on arm64, "
	  "neon or i8mm. Every one gives the same bits. One that the CPU cannot run is refused, with what the CPU "
	  "lacks and "
	  "what it can run.",
	  KIND_ISA, FIELD(isa), 0, 0, WHEN_RESTARTED },
	{ "batch-rows", "N", "512", "rows of one step", "", KIND_U32, FIELD(batch_rows), 1, 65536, WHEN_RESTARTED },
	{ "gap-ms", "N", "0",
	  "a step takes no longer, so no stream waits longer for its next token; 0: twice what it has to do",
	  "As far as gyred can tell from the steps before. 0 has prompts take as long in a step as the streams that "
	  "run, "
	  "and users with more to do as long as a row of each of them: a stream's tokens come at half their speed at "
	  "the "
	  "worst, on a large host as on a small one, where 50 ms are sixteen steps of a small model, or a tenth of one "
	  "of a "
	  "large one. A user that is alone, with no stream running, has steps of twelve rows' time. A number of "
	  "milliseconds "
	  "holds for all of these; where a row of each user takes longer, that is the step.",
	  KIND_U32, FIELD(gap_ms), 0, 3600000, WHEN_RESTARTED },
	{ "prefix-cache", "0|1", "1", "1: what prompts begin with is kept while no request wants its memory",
	  "A prompt that begins like another one, of a request that runs or has ended, is read from where they part. "
	  "What "
	  "requests no longer need stays in the pool for that, and is given up, the longest unused first, when a "
	  "request "
	  "wants the memory.",
	  KIND_U32, FIELD(prefix_cache), 0, 1, WHEN_RESTARTED },
	{ "share-prefixes", "0|1", "0", "1: that is found by all users, not by its own alone",
	  "A prompt that others have sent before is answered sooner, so users who share can find out what others have "
	  "asked.",
	  KIND_U32, FIELD(share_prefixes), 0, 1, WHEN_RESTARTED },
	{ "spin-us", "N", "50", "spin this long for new work before sleeping", "", KIND_U32, FIELD(spin_us), 0, 1000000,
	  WHEN_RESTARTED },
	{ "chat-date", "DATE", "2024-07-26", "what a chat template that asks for the date is told",
	  "A day, YYYY-MM-DD. It is fixed, so that answers are.", KIND_DATE, FIELD(chat_date), 0, 0, WHEN_RESTARTED },
	{ "core-dumps", "0|1", "0", "1: core dumps and debuggers see all of the daemon's memory, prompts too",
	  "0: no core dumps, and no debugger of gyred's own user (PR_SET_DUMPABLE). 1: both, for looking for a fault. "
	  "Weights, keys "
	  "and values and the clients' rings are in no dump; the texts and tokens of requests that run then are. What "
	  "a client "
	  "wrote is wiped when its request or session ends, but for keys and values, which later requests overwrite.",
	  KIND_U32, FIELD(core_dumps), 0, 1, WHEN_RESTARTED },
	{ "seccomp", "0|1", "1", "1: system calls that serving does not need are denied from \"ready\" on", "",
	  KIND_U32, FIELD(seccomp), 0, 1, WHEN_RESTARTED },

	{ "model", "FILE", "", "GGUF model (needed); the keys below are its own, or before any model, all models'",
	  "Of a model in parts (NAME-00001-of-00003.gguf and so on, at most 256) any part: the others lie in the same "
	  "folder. A part "
	  "that is missing, truncated, renamed or another model's is refused by name. The same file in a later line, "
	  "or a later "
	  "file, goes on with its section. Up to 8 models; the first is the one that clients get that name none.",
	  KIND_MODEL, MODEL_FIELD(file), 0, 0, WHEN_RESTARTED },
	{ "name", "NAME", "", "what clients ask for (default: the file's name without .gguf)",
	  "Up to 63 bytes without blanks, commas and slashes. No two models have the same.", KIND_NAME,
	  MODEL_FIELD(name), 0, 0, WHEN_RESTARTED },
	{ "ctx", "N", "0", "positions of a sequence; 0: the model's, at most 8192", "", KIND_U32, MODEL_FIELD(n_ctx), 0,
	  1u << 20, WHEN_RESTARTED },
	{ "kv-bytes", "BYTES", "0", "KV pool of each replica, suffix K, M, G or T; 0: four full contexts, or what fits",
	  "Bytes, or a number with K, M, G or T, of 1024, as 512M or 4GiB. 0 takes four full contexts, or, with a "
	  "warning, what fits "
	  "beside the weights with 64 MiB to spare (256 of addresses): within the cgroup's limit, the memory available "
	  "and "
	  "`ulimit -v`. A pool smaller than one context shortens the context, down to 256 positions; below that gyred "
	  "does not "
	  "start. A size that is given is taken or refused. Models with recurrent layers keep a state for each running "
	  "sequence in it, "
	  "beside the positions or instead of them: gyre plan --memory says how large it is.",
	  KIND_BYTES, MODEL_FIELD(kv_bytes), 0, UINT64_MAX, WHEN_RESTARTED },
	{ "kv-type", "TYPE", "f16", "how keys and values are stored: f16, q8_0 in half the bytes, or f32 in twice",
	  "q8_0 has blocks of 32 dimensions as signed bytes with one f16 scale, a little over half the bytes. That is "
	  "twice the "
	  "context in the same pool and faster decoding behind a long context, at a perplexity that differs by less "
	  "than 0.2 %.",
	  KIND_KV_TYPE, MODEL_FIELD(kv_type), 0, 0, WHEN_RESTARTED },
	{ "chat-template", "FILE", "", "Jinja file, or the name of one that gyred has, in place of the model's",
	  "gyred has: alpaca, chatml, gemma, llama2, llama3, mistral, phi3, vicuna, zephyr. Without a template, or "
	  "with one in the "
	  "model's file that cannot be parsed, gyred serves with a warning, and refuses chats.",
	  KIND_TEMPLATE, MODEL_FIELD(chat_template), 0, 0, WHEN_RESTARTED },
	{ "draft", "auto|none", "auto", "tokens are guessed ahead where that is faster, or never",
	  "Guesses come from what stood in the same prompt and answer, and in what the same user was answered lately. "
	  "Each is verified: answers are the same with and without, bit for bit. How many a step has is what is "
	  "expected "
	  "to give the most tokens a second, by how often such guesses came true and by what rows take on this "
	  "machine: "
	  "often none.",
	  KIND_WORD, MODEL_FIELD(draft), 0, 0, WHEN_RESTARTED },
	{ "draft-max", "N", "16", "tokens guessed ahead of a stream in a step, at most", "", KIND_U32,
	  MODEL_FIELD(draft_max), 1, 16, WHEN_RESTARTED },
	{ "draft-min", "N", "0", "as many are guessed even where that is not faster; for tests", "", KIND_U32,
	  MODEL_FIELD(draft_min), 0, 16, WHEN_RESTARTED },
	{ "idle-seconds", "N", "0", "without a request, a model's memory is given back until the next one; 0: never",
	  "", KIND_U32, MODEL_FIELD(idle_seconds), 0, 31536000, WHEN_RELOADED },

	{ "user", "NAME", "", "the quotas below are this user's, a name or a uid; before any, everybody's", "",
	  KIND_USER, QUOTA_FIELD(id), 0, 0, WHEN_RELOADED },
	{ "group", "NAME", "", "likewise, of each user of this group",
	  "A name or a gid. A user has the quotas of its own section; else those of the first section, in the order of "
	  "the files, of "
	  "a group that its process is in, primary or supplementary; else everybody's. What a section does not say is "
	  "everybody's.",
	  KIND_GROUP, QUOTA_FIELD(id), 0, 0, WHEN_RELOADED },
	{ "max-sessions", "N", "0", "sessions of a user; 0: half of those that others leave",
	  "One more: connecting fails with EUSERS.", KIND_U32, QUOTA_FIELD(n_session), 0, 2048, WHEN_RELOADED },
	{ "max-arena-bytes", "BYTES", "0", "rings and arenas of a user's sessions; 0: as session-bytes has it",
	  "More: connecting fails with EDQUOT. Less than 2M holds no client's rings and is refused.", KIND_BYTES,
	  QUOTA_FIELD(arena_bytes), 0, UINT64_MAX, WHEN_RELOADED },
	{ "max-positions", "N", "0", "positions of keys and values that a user's requests hold at once; 0: any number",
	  "On all models and replicas together. A request counts with all that it may come to hold: its prompt and "
	  "max_tokens, or, "
	  "without these, the context (or this limit, where it ends with EFBIG); a recurrent state counts as the "
	  "positions that would take its bytes, or, where positions take none, as 1024. One that has no room beside "
	  "others of "
	  "its user "
	  "waits for them, in order of priority, then arrival; one that alone has none ends with EFBIG at once.",
	  KIND_U32, QUOTA_FIELD(n_position), 0, UINT32_MAX, WHEN_RELOADED },
	{ "max-pinned", "N", "0",
	  "positions of keys and values that a user's requests keep pinned; 0: a quarter of a pool",
	  "Of a model, on each of its replicas a part. Pinned is what has ended and is kept with GYRE_SQE_PIN: others' "
	  "requests do without that memory. More ends with EDQUOT, as does what would leave less room in the pool than "
	  "a whole context. 1: nothing.",
	  KIND_U32, QUOTA_FIELD(n_pinned), 0, UINT32_MAX, WHEN_RELOADED },
	{ "max-requests", "N", "0", "requests of a user that are under way; 0: its share of those there are",
	  "One more ends with EMLINK at once.", KIND_U32, QUOTA_FIELD(n_request), 0, 4096, WHEN_RELOADED },
	{ "max-tokens-per-second", "N", "0",
	  "tokens of a user that are read and generated, over ten seconds; 0: any number",
	  "A user saves up ten seconds' worth at most. One that has used more has its further requests end with "
	  "EAGAIN, whose words "
	  "say when to come again; those that run go on, and what they take is owed.",
	  KIND_U32, QUOTA_FIELD(tokens_a_second), 0, 10000000, WHEN_RELOADED },
	{ "weight", "N", "1", "parts of the time that a user has while others want theirs",
	  "Of two users that want all they can get, one with 3 is served three times as long as one with 1. What a "
	  "user does "
	  "not want is the others'.",
	  KIND_U32, QUOTA_FIELD(weight), 1, 1000, WHEN_RELOADED },
	{ "max-priority", "N", "0", "the highest priority of a user's requests (0 is the highest there is)",
	  "A higher one (a smaller number) ends with EPERM. libgyre submits with 128, or with this where it is lower.",
	  KIND_U32, QUOTA_FIELD(priority), 0, 255, WHEN_RELOADED },
	{ "models", "NAMES", "", "models that a user may ask for, with commas between them (default: all)",
	  "Another: connecting fails with EACCES.", KIND_NAMES, QUOTA_FIELD(models), 0, 0, WHEN_RELOADED },
};
