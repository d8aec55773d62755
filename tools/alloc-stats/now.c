/* SPDX-License-Identifier: MIT
 *
 * now.c - has a thread of a process call amalloc_trim(0) at once, by ptrace.
 *
 * The thread must be asleep in a system call that libarena did not make, and no heap may be locked:
 * then it is outside of the allocator.  Its call returns to the very `syscall` instruction that it
 * sleeps in, where the entry of a system call stops it; that one is skipped, the registers are put
 * back, and the kernel restarts the interrupted call as after any stop.  Signals wait meanwhile.
 */
#include <elf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/user.h> has its own idea of a page. */
#undef PAGE_SHIFT
#include "trim.h"

#if defined(__x86_64__)

/* Symbols of a library that are looked at: it exports some hundred. */
#define SYMBOLS_MAX 4096
/* A heap that is locked for this many looks, a millisecond apart, is locked by the sleeper. */
#define LOCK_LOOKS 100

/* The address of the exported function NAME of R's image, or 0. */
static uint64_t exported(struct target *t, const struct found_root *r, const char *name)
{
	uint64_t symbols = 0, strings = 0;

	for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= r->dynamic_bytes; at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn d;

		if (!target_read(t, r->dynamic + at, &d, sizeof d) || d.d_tag == DT_NULL)
			break;
		/* The loader has made addresses of these, or not: depends on the libc. */
		if (d.d_tag == DT_SYMTAB)
			symbols = d.d_un.d_ptr < r->bias ? d.d_un.d_ptr + r->bias : d.d_un.d_ptr;
		if (d.d_tag == DT_STRTAB)
			strings = d.d_un.d_ptr < r->bias ? d.d_un.d_ptr + r->bias : d.d_un.d_ptr;
	}
	for (unsigned i = 0; symbols != 0 && strings != 0 && i < SYMBOLS_MAX; i++) {
		size_t n = strlen(name) + 1;
		char text[32];
		Elf64_Sym s;

		if (!target_read(t, symbols + i * sizeof s, &s, sizeof s))
			break;
		if (ELF64_ST_TYPE(s.st_info) == STT_FUNC && s.st_shndx != SHN_UNDEF &&
		    target_read(t, strings + s.st_name, text, n) && memcmp(text, name, n) == 0)
			return r->bias + s.st_value;
	}
	return 0;
}

/* Whether any heap is locked; one that is unreadable counts. */
static bool any_locked(struct target *t, const struct found_root *r)
{
	struct list_walk l = {0};
	struct heap *h = grab(sizeof *h);
	uintptr_t at;
	bool locked = false;

	target_forget(t);
	if (!target_read(t, (uintptr_t)r->root.heaps, &at, sizeof at))
		locked = true;
	for (; !locked && list_next(&l, at); at = (uintptr_t)h->all_next)
		locked = !target_read(t, at, h, sizeof *h) ||
			 __atomic_load_n((uint32_t *)&h->lock, __ATOMIC_RELAXED) != 0;
	free(h);
	return locked;
}

/* Where the thread sleeps, or 0 when it runs or is inside libarena. */
static uint64_t sleeping_at(struct target *t, const struct found_root *r, const char *tid)
{
	char *path = grab_format("task/%s/syscall", tid), *text = target_proc(t, path), *last;
	unsigned char code[2];
	uint64_t pc = 0;

	free(path);
	if (text != NULL && text[0] >= '0' && text[0] <= '9') {
		last = strrchr(text, ' ');
		pc = last != NULL ? strtoull(last, NULL, 0) : 0;
	}
	free(text);
	if (pc != 0) {
		const struct area *a = target_area(t, pc);

		if (a == NULL || (r->dynamic != 0 && strcmp(a->name, r->file) == 0) ||
		    !target_read(t, pc - 2, code, 2) || code[0] != 0x0f || code[1] != 0x05)
			pc = 0;
	}
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

/* Lets the stopped thread make the call and puts everything back; false: the process is gone. */
static bool call(pid_t tid, const struct user_regs_struct *saved, uint64_t function)
{
	struct user_regs_struct regs = *saved;
	uint64_t none = ~0ull, mask;
	int status;

	/* Below the red zone; a function is entered with rsp 8 above a multiple of 16. */
	regs.rsp = ((saved->rsp - 256) & ~15ull) - 8;
	regs.rip = function;
	regs.rdi = 0;
	regs.orig_rax = none;
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof mask, &mask) != 0 ||
	    ptrace(PTRACE_SETSIGMASK, tid, sizeof none, &none) != 0 ||
	    ptrace(PTRACE_POKEDATA, tid, regs.rsp, saved->rip - 2) != 0 ||
	    ptrace(PTRACE_SETREGS, tid, 0, &regs) != 0)
		return false;
	do {
		if (ptrace(PTRACE_SYSCALL, tid, 0, 0) != 0 || !wait_stop(tid, &status) ||
		    ptrace(PTRACE_GETREGS, tid, 0, &regs) != 0)
			return false;
	} while (regs.rip != saved->rip);
	/* At the entry of the call that is not to happen. */
	regs.orig_rax = none;
	ptrace(PTRACE_SETREGS, tid, 0, &regs);
	ptrace(PTRACE_SYSCALL, tid, 0, 0);
	if (!wait_stop(tid, &status))
		return false;
	/* Only a stop in the kernel's signal code restarts the interrupted call. */
	ptrace(PTRACE_INTERRUPT, tid, 0, 0);
	ptrace(PTRACE_CONT, tid, 0, 0);
	if (!wait_stop(tid, &status))
		return false;
	ptrace(PTRACE_SETREGS, tid, 0, (void *)saved);
	ptrace(PTRACE_SETSIGMASK, tid, sizeof mask, &mask);
	return true;
}

/* NULL when the thread TID, which sleeps at PC, has made the call. */
static const char *serve(struct target *t, const struct found_root *r, pid_t tid, uint64_t pc,
			 uint64_t function)
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

		while (any_locked(t, r) && ++looks < LOCK_LOOKS)
			usleep(1000);
		if (looks == LOCK_LOOKS)
			why = "it stands in the middle of malloc or free";
		else
			why = call(tid, &saved, function) ? NULL : "the process ended meanwhile";
	}
	ptrace(PTRACE_DETACH, tid, 0, 0);
	return why;
}

char *trim_now(struct target *t, const struct found_root *r, uint64_t *freed)
{
	uint64_t function = exported(t, r, "amalloc_trim");
	const char *why = "no thread sleeps in a system call of its own; without --now the next slow "
			  "path serves the request";
	struct pages_state before, after;
	sigset_t all, old;
	int task = openat(t->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = task >= 0 ? fdopendir(task) : NULL;
	struct dirent *e;

	*freed = 0;
	if (function == 0)
		return grab_text("its libarena has no dynamic symbols: --trim alone works");
	if (!target_read(t, (uintptr_t)r->root.pages, &before, sizeof before))
		return grab_text("its counters cannot be read");
	/* A thread that is left in the middle would go on into the wrong system call. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	while (dir != NULL && why != NULL && (e = readdir(dir)) != NULL) {
		uint64_t pc = e->d_name[0] == '.' ? 0 : sleeping_at(t, r, e->d_name);

		if (pc != 0)
			why = serve(t, r, (pid_t)strtol(e->d_name, NULL, 10), pc, function);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (dir != NULL)
		closedir(dir);
	target_forget(t);
	if (why == NULL && target_read(t, (uintptr_t)r->root.pages, &after, sizeof after))
		*freed = after.purged - before.purged;
	return why != NULL ? grab_text(why) : NULL;
}

#else

char *trim_now(struct target *t, const struct found_root *r, uint64_t *freed)
{
	(void)t;
	(void)r;
	*freed = 0;
	return grab_text("--now exists for x86-64 only: --trim alone works");
}

#endif
