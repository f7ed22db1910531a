/*
 * Stops one thread of the real gyred where a test wants it: in a function, found by the program's symbols. All threads are traced and a
 * breakpoint is set; the first of the wanted kind that runs into it stays there, the others are led past it.
 */
#ifndef GYRE_TESTS_SYSTEM_FREEZE_H
#define GYRE_TESTS_SYSTEM_FREEZE_H

#include "tests/system/stop.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#define FREEZE_THREAD_MAX 64
#define FREEZE_CONTROL    "" /* the process's first thread */

struct freeze {
	const struct tinyd *d;
	int mem_fd;
	uint64_t at; /* the breakpoint; 0: none */
	uint32_t old;
	pid_t tid[FREEZE_THREAD_MAX], frozen;
	int n_tid;
};

/* Of the machine: where the program counter is among the registers, and an instruction that stops. */
struct freeze_machine {
	size_t pc, n_trap;
	uint32_t trap;
	uint64_t behind; /* where the counter stands then */
};

static inline struct freeze_machine freeze_machine(void)
{
	struct utsname u;

	uname(&u);
	return strcmp(u.machine, "aarch64") ? (struct freeze_machine){ 16, 1, 0xcc, 1 }
					    : (struct freeze_machine){ 32, 4, 0xd4200000, 0 };
}

static inline uint64_t freeze_base(pid_t pid)
{
	char path[64], line[512];
	unsigned long long base = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	if (!fgets(line, sizeof(line), f) || sscanf(line, "%llx-", &base) != 1)
		base = 0;
	fclose(f);
	return base;
}

/* The address of a function in the process; 0: it has none of that name. */
static inline uint64_t freeze_find(const struct tinyd *d, const char *name)
{
	uint64_t found = 0;
	char path[64];
	struct stat st;
	int fd;
	const char *image;
	const Elf64_Ehdr *h;
	const Elf64_Shdr *s;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)d->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(image != MAP_FAILED);
	close(fd);
	h = (const Elf64_Ehdr *)image;
	s = (const Elf64_Shdr *)(image + h->e_shoff);
	for (size_t i = 0; i < h->e_shnum; i++) {
		const Elf64_Sym *sym = (const Elf64_Sym *)(image + s[i].sh_offset);

		if (s[i].sh_type != SHT_SYMTAB)
			continue;
		for (size_t k = 0; k < s[i].sh_size / sizeof(*sym); k++)
			if (!strcmp(image + s[s[i].sh_link].sh_offset + sym[k].st_name, name))
				found = sym[k].st_value + (h->e_type == ET_DYN ? freeze_base(d->pid) : 0);
	}
	munmap((void *)(uintptr_t)image, (size_t)st.st_size);
	return found;
}

static inline uint64_t freeze_pc(pid_t tid, const uint64_t *set)
{
	uint64_t r[80];
	struct iovec v = { r, sizeof(r) };
	size_t pc = freeze_machine().pc;

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &v) < 0)
		return 0;
	if (set) {
		r[pc] = *set;
		(void)ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &v);
	}
	return r[pc];
}

static inline void freeze_poke(struct freeze *f, uint32_t instruction)
{
	size_t n = freeze_machine().n_trap;

	assert_int_equal(pwrite(f->mem_fd, &instruction, n, (off_t)f->at), n);
}

/* All its threads are traced from here on. false: that is forbidden here. */
static inline bool freeze_begin(struct freeze *f, const struct tinyd *d)
{
	char path[64];
	struct dirent *e;
	DIR *dir;

	*f = (struct freeze){ .d = d };
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)d->pid);
	f->mem_fd = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)d->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (atoi(e->d_name) > 0 && f->n_tid < FREEZE_THREAD_MAX &&
		    ptrace(PTRACE_SEIZE, atoi(e->d_name), NULL, NULL) == 0)
			f->tid[f->n_tid++] = atoi(e->d_name);
	closedir(dir);
	return f->mem_fd >= 0 && f->n_tid > 0;
}

static inline bool freeze_is(const struct freeze *f, pid_t tid, const char *thread)
{
	return *thread ? tid != f->d->pid && stop_has_name(f->d, tid, thread) : tid == f->d->pid;
}

/* One thread that has stopped goes on, unless it is the one. */
static inline void freeze_lead(struct freeze *f, pid_t tid, int status, const char *thread)
{
	bool is_there = f->at && WSTOPSIG(status) == SIGTRAP && !(status >> 16) &&
			freeze_pc(tid, NULL) == f->at + freeze_machine().behind;
	int signal_number = WSTOPSIG(status) == SIGTRAP || status >> 16 ? 0 : WSTOPSIG(status);

	if (is_there)
		freeze_pc(tid, &f->at);
	if (is_there && !f->frozen) {
		freeze_poke(f, f->old);
		if (freeze_is(f, tid, thread)) {
			f->frozen = tid;
			return;
		}
		(void)ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL);
		(void)waitpid(tid, &status, __WALL);
		freeze_poke(f, freeze_machine().trap);
	}
	(void)ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signal_number);
}

/* To be called often: threads that have run into something are led on. */
static inline void freeze_pump(struct freeze *f, const char *thread)
{
	int status;

	for (int i = 0; i < f->n_tid; i++)
		if (f->tid[i] != f->frozen && waitpid(f->tid[i], &status, __WALL | WNOHANG) == f->tid[i] &&
		    WIFSTOPPED(status))
			freeze_lead(f, f->tid[i], status, thread);
}

/* The next time that a thread called so runs into the function. */
static inline void freeze_set(struct freeze *f, const char *function)
{
	f->at = freeze_find(f->d, function);
	if (!f->at)
		fail_msg("gyred has no function %s", function);
	f->old = 0;
	assert_int_equal(pread(f->mem_fd, &f->old, freeze_machine().n_trap, (off_t)f->at), freeze_machine().n_trap);
	freeze_poke(f, freeze_machine().trap);
}

/* Wherever a thread called so is. */
static inline void freeze_here(struct freeze *f, const char *thread)
{
	int status;

	for (int i = 0; i < f->n_tid && !f->frozen; i++)
		if (freeze_is(f, f->tid[i], thread) && ptrace(PTRACE_INTERRUPT, f->tid[i], NULL, NULL) == 0 &&
		    waitpid(f->tid[i], &status, __WALL) == f->tid[i])
			f->frozen = f->tid[i];
}

/* All go on, and are traced no longer. */
static inline void freeze_end(struct freeze *f)
{
	int status;

	if (f->at && !f->frozen)
		freeze_poke(f, f->old);
	for (int i = 0; i < f->n_tid; i++) {
		pid_t tid = f->tid[i];

		if (tid != f->frozen) {
			if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 || waitpid(tid, &status, __WALL) != tid)
				continue;
			if (f->at && freeze_pc(tid, NULL) == f->at + freeze_machine().behind && !(status >> 16))
				freeze_pc(tid, &f->at);
		}
		(void)ptrace(PTRACE_DETACH, tid, NULL, NULL);
	}
	close(f->mem_fd);
}

#endif
