/* SPDX-License-Identifier: MIT
 *
 * now.c - has a thread of a process serve a request at once, by ptrace: root.h's `serve`.
 *
 * The thread must be asleep in a system call that libarena does not make, or in a futex that is none
 * of its locks, and no lock may be held: then it is outside of the allocator.  (A signal handler that
 * interrupted malloc and sleeps cannot be told from that; alloc-stats(1) says so.)  Its call returns
 * to the very `syscall` instruction that it sleeps in, where the entry of a system call stops it;
 * that one is skipped, the registers are put back, and the kernel restarts the interrupted call as
 * after any stop.  Signals wait meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/user.h> has its own idea of a page. */
#undef PAGE_SHIFT
#include "trim.h"

#if defined(__x86_64__)

/* Locks that are held for this many looks, a millisecond apart, are held by the sleeper. */
#define LOCK_LOOKS 100

/* Whether the lock at ADDR is free, and is not the one that the thread waits for. */
static bool lock_is_free(struct target *t, uint64_t addr, uint64_t waits_for)
{
	uint32_t word;

	return addr != waits_for && target_read(t, addr, &word, sizeof word) && word == 0;
}

/* Whether all locks are free; one that is unreadable is not. */
static bool all_free(struct target *t, const struct found_root *r, uint64_t waits_for)
{
	struct list_walk l = {0};
	struct heap *h = grab(sizeof *h);
	uintptr_t at = 0;
	bool is_free;

	target_forget(t);
	is_free = target_read(t, (uintptr_t)r->root.heaps, &at, sizeof at);
	for (unsigned i = 0; i < sizeof r->root.locks / sizeof *r->root.locks; i++)
		is_free = is_free && lock_is_free(t, (uintptr_t)r->root.locks[i], waits_for);
	for (; is_free && list_next(&l, at); at = (uintptr_t)h->all_next)
		is_free = lock_is_free(t, at + offsetof(struct heap, lock), waits_for) &&
			  target_read(t, at, h, sizeof *h);
	free(h);
	return is_free;
}

/* Whether NR is a call that the allocator makes itself and may sleep in; futex is told by its
 * address. */
static bool own_call(unsigned long nr)
{
	return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mremap || nr == SYS_madvise;
}

/* Where the thread sleeps, or 0 when it runs or may be inside libarena; *FUTEX: what it waits for. */
static uint64_t sleeping_at(struct target *t, const char *tid, uint64_t *futex)
{
	char *path = grab_format("task/%s/syscall", tid), *text = target_proc(t, path), *rest;
	unsigned long nr;
	unsigned char code[2];
	uint64_t pc = 0;

	free(path);
	*futex = 0;
	/* "nr argument * 6 sp pc", or "running", or "-1 sp pc" outside of a system call. */
	if (text != NULL && text[0] >= '0' && text[0] <= '9') {
		nr = strtoul(text, &rest, 10);
		if (nr == SYS_futex)
			*futex = strtoull(rest, NULL, 0);
		rest = strrchr(text, ' ');
		pc = rest != NULL && !own_call(nr) ? strtoull(rest, NULL, 0) : 0;
	}
	free(text);
	if (pc != 0 && (!target_read(t, pc - 2, code, 2) || code[0] != 0x0f || code[1] != 0x05))
		pc = 0;
	return pc;
}

static bool wait_stop(pid_t tid, int *status)
{
	pid_t got;

	do
		got = waitpid(tid, status, __WALL);
	while (got < 0 && errno == EINTR);
	return got == tid && WIFSTOPPED(*status);
}

/* Lets the stopped thread make the call and puts everything back; NULL, or what went wrong. */
static const char *call(pid_t tid, const struct user_regs_struct *saved, uint64_t function)
{
	struct user_regs_struct regs = *saved;
	static const char gone[] = "the process ended meanwhile";
	uint64_t none = ~0ull, mask;
	int status;

	/* Below the red zone; a function is entered with rsp 8 above a multiple of 16. */
	regs.rsp = ((saved->rsp - 256) & ~15ull) - 8;
	regs.rip = function;
	regs.orig_rax = none;
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof mask, &mask) != 0 ||
	    ptrace(PTRACE_SETSIGMASK, tid, sizeof none, &none) != 0 ||
	    ptrace(PTRACE_POKEDATA, tid, regs.rsp, saved->rip - 2) != 0 ||
	    ptrace(PTRACE_SETREGS, tid, 0, &regs) != 0)
		return gone;
	do {
		if (ptrace(PTRACE_SYSCALL, tid, 0, 0) != 0 || !wait_stop(tid, &status) ||
		    ptrace(PTRACE_GETREGS, tid, 0, &regs) != 0)
			return gone;
		/* Signals wait, but for the faults of an instruction. */
		if (status >> 16 == 0 && WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			ptrace(PTRACE_SETREGS, tid, 0, (void *)saved);
			ptrace(PTRACE_SETSIGMASK, tid, sizeof mask, &mask);
			return "the call failed: its root descriptor, or its heap, is damaged";
		}
	} while (regs.rip != saved->rip);
	/* At the entry of the call that is not to happen. */
	regs.orig_rax = none;
	ptrace(PTRACE_SETREGS, tid, 0, &regs);
	ptrace(PTRACE_SYSCALL, tid, 0, 0);
	if (!wait_stop(tid, &status))
		return gone;
	/* Only a stop in the kernel's signal code restarts the interrupted call. */
	ptrace(PTRACE_INTERRUPT, tid, 0, 0);
	ptrace(PTRACE_CONT, tid, 0, 0);
	if (!wait_stop(tid, &status))
		return gone;
	ptrace(PTRACE_SETREGS, tid, 0, (void *)saved);
	ptrace(PTRACE_SETSIGMASK, tid, sizeof mask, &mask);
	return NULL;
}

/* NULL when the thread TID, which sleeps at PC, has made the call. */
static const char *serve(struct target *t, const struct found_root *r, pid_t tid, uint64_t pc,
			 uint64_t futex)
{
	struct user_regs_struct saved;
	const char *why = "the thread woke up";
	int status;

	if (ptrace(PTRACE_SEIZE, tid, 0, (void *)PTRACE_O_TRACESYSGOOD) != 0)
		return strerror(errno);
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) != 0 || !wait_stop(tid, &status))
		return "the thread has ended";
	if (status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP &&
	    ptrace(PTRACE_GETREGS, tid, 0, &saved) == 0 && saved.rip == pc) {
		int looks = 0;

		while (!all_free(t, r, futex) && ++looks < LOCK_LOOKS)
			usleep(1000);
		if (looks == LOCK_LOOKS)
			why = "its thread stands in the middle of malloc or free";
		else
			why = call(tid, &saved, (uintptr_t)r->root.serve);
	}
	ptrace(PTRACE_DETACH, tid, 0, 0);
	return why;
}

char *trim_now(struct target *t, const struct found_root *r)
{
	const struct area *code = target_area(t, (uintptr_t)r->root.serve);
	const char *why = "no thread sleeps in a system call of its own";
	sigset_t all, old;
	int task = openat(t->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = task >= 0 ? fdopendir(task) : NULL;
	struct dirent *e;

	/* A damaged root must not have just anything called. */
	if (code == NULL || code->writable || !code->executable || strcmp(code->name, r->file) != 0) {
		if (dir != NULL)
			closedir(dir);
		return grab_text("its root descriptor is damaged");
	}
	/* A thread that is left in the middle would go on into the wrong system call. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	while (dir != NULL && why != NULL && (e = readdir(dir)) != NULL) {
		uint64_t futex, pc = e->d_name[0] == '.' ? 0 : sleeping_at(t, e->d_name, &futex);

		if (pc != 0)
			why = serve(t, r, (pid_t)strtol(e->d_name, NULL, 10), pc, futex);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (dir != NULL)
		closedir(dir);
	target_forget(t);
	return why != NULL ? grab_text(why) : NULL;
}

#else

char *trim_now(struct target *t, const struct found_root *r)
{
	(void)t;
	(void)r;
	return grab_text("--now exists for x86-64 only");
}

#endif
