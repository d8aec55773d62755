/* SPDX-License-Identifier: MIT
 *
 * sandbox.c - probes with a seccomp filter that is installed after start-up: calls refused with
 * EPERM, unknown calls killed, OpenSSH's rules for the arguments of mmap and madvise.  And one that
 * forbids memory both writable and executable from exec on.
 */
#include "probe.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ACTION_EPERM (SECCOMP_RET_ERRNO | EPERM)
#define ACTION_ZERO SECCOMP_RET_ERRNO /* "success", with 0 for a result */
#define ACTION_EINVAL (SECCOMP_RET_ERRNO | EINVAL)
#define MAX_RULES 64
#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

static void install(struct sock_filter *code, unsigned short n)
{
	struct sock_fprog prog = { .len = n, .filter = code };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs: %s", strerror(errno));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(PROBE_SKIP);
}

/* LISTED calls get one action, all others the second. */
static void filter_list(const int *listed, int count, unsigned then, unsigned otherwise)
{
	struct sock_filter code[MAX_RULES];
	unsigned short n = 0;

	code[n++] = (struct sock_filter)LOAD(nr);
	for (int i = 0; i < count; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)listed[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, then);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
	install(code, n);
}

/* Contents survive growth by realloc even if mremap is refused. */
static void grow_large(void)
{
	size_t n = 1 << 20;
	char *p = malloc(n);

	CHECK(p != NULL, "1 MiB");
	memset(p, 'g', n);
	for (; n < (64u << 20); n *= 2) {
		p = realloc(p, 2 * n);
		CHECK(p != NULL, "realloc to %zu bytes: %s", 2 * n, strerror(errno));
		CHECK(p[0] == 'g' && p[n - 1] == 'g', "realloc to %zu bytes lost contents", 2 * n);
		memset(p + n, 'g', n);
	}
	free(p);
}

static void *churn_thread(void *arg)
{
	CHECK(probe_churn((unsigned)(uintptr_t)arg, 30000) == 0, "allocation refused");
	return NULL;
}

static void churn_threads(void)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, churn_thread, (void *)i) == 0, "thread");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static int no_purge(int argc, char **argv)
{
	static const int calls[] = { SYS_madvise, SYS_mremap };

	(void)argc;
	(void)argv;
	filter_list(calls, 2, ACTION_EPERM, SECCOMP_RET_ALLOW);
	for (unsigned i = 0; i < 4; i++)
		CHECK(probe_churn(i, 30000) == 0, "allocation refused");
	grow_large();
	churn_threads();
	return 0;
}

/* Takes blocks until none is left; the allocator has to say so, and to live on. */
static int exhaust(size_t n, char **list, int max)
{
	int count = 0;

	while (count < max) {
		errno = 0;
		list[count] = malloc(n);
		if (list[count] == NULL) {
			CHECK(errno == ENOMEM, "errno is %d after a refused malloc", errno);
			break;
		}
		memset(list[count++], 'e', n < 4096 ? n : 4096);
	}
	CHECK(count < max, "never refused");
	return count;
}

#define MAX_BLOCKS 4000000
static char *block[MAX_BLOCKS];

static int no_growth(int argc, char **argv)
{
	static const int calls[] = { SYS_madvise, SYS_mremap, SYS_mmap, SYS_munmap, SYS_mprotect };
	/* brk answers with an address, never with an error; EPERM would be taken for one. */
	static const int brk_call[] = { SYS_brk };
	/* 12 GiB, 1 GB, 128 MB: nobody keeps that much of what little was used before. */
	static const size_t sizes[] = { 64 << 10, 1000, 32 };
	static const int most[] = { 200000, 1000000, MAX_BLOCKS };
	static void *big;

	(void)argc;
	(void)argv;
	CHECK(probe_churn(1, 20000) == 0, "before the filter");
	big = malloc(8 << 20);
	filter_list(brk_call, 1, ACTION_ZERO, SECCOMP_RET_ALLOW);
	filter_list(calls, 5, ACTION_EPERM, SECCOMP_RET_ALLOW);
	free(big);
	for (int s = 0; s < 3; s++) {
		int n = exhaust(sizes[s], block, most[s]);
		void *p;

		for (int i = 0; i < n; i++) {
			CHECK(block[i][0] == 'e', "contents lost");
			free(block[i]);
		}
		errno = 0;
		p = calloc(1, 100 << 20);
		CHECK(p == NULL && errno == ENOMEM, "100 MiB from nowhere");
		/* What was freed can be had again. */
		CHECK(n == 0 || (p = malloc(sizes[s])) != NULL, "freed blocks are gone");
		free(p);
	}
	return 0;
}

/* What an allocator may call after start-up, and what this program's own threads need. */
static const int allowed[] = {
	SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_futex,
	SYS_exit, SYS_exit_group, SYS_write, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_clone, SYS_clone3, SYS_set_robust_list, SYS_rseq,
};

static int kill_others(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	filter_list(allowed, sizeof allowed / sizeof *allowed, SECCOMP_RET_ALLOW,
		    SECCOMP_RET_KILL_PROCESS);
	for (unsigned i = 0; i < 4; i++)
		CHECK(probe_churn(i, 30000) == 0, "allocation refused");
	grow_large();
	churn_threads();
	_exit(0);
}

/*
 * OpenSSH 9.8 and later, before authentication: mmap with other flags than these, or madvise
 * with other advice, is refused with EINVAL.  One thread only: stacks are MAP_STACK.
 */
static int openssh(int argc, char **argv)
{
	const unsigned flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_FIXED_NOREPLACE;
	static const unsigned advice[] = { MADV_NORMAL, MADV_FREE, MADV_DONTNEED, MADV_DONTFORK,
					   MADV_DONTDUMP, MADV_WIPEONFORK };
	struct sock_filter code[MAX_RULES];
	unsigned short n = 0;

	(void)argc;
	(void)argv;
	code[n++] = (struct sock_filter)LOAD(nr);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4);
	code[n++] = (struct sock_filter)LOAD(args[3]);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ~flags, 0, 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ACTION_EINVAL);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 14);
	code[n++] = (struct sock_filter)LOAD(args[2]);
	for (int i = 0; i < 6; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, advice[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ACTION_EINVAL);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	install(code, n);
	for (unsigned i = 0; i < 4; i++)
		CHECK(probe_churn(i, 30000) == 0, "allocation refused");
	grow_large();
	return 0;
}

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* mdwe PROGRAM...: as under systemd's MemoryDenyWriteExecute=, which uses this where the kernel has
 * it.  A mapping that is or was writable cannot become executable, nor one be both. */
static int mdwe(int argc, char **argv)
{
	void *p;

	if (argc < 2 || prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0)
		return PROBE_SKIP;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p == MAP_FAILED, "the kernel forbids nothing");
	execv(argv[1], argv + 1);
	return 1;
}

static const struct probe probes[] = {
	{ "no-purge", no_purge },
	{ "no-growth", no_growth },
	{ "kill-others", kill_others },
	{ "openssh", openssh },
	{ "mdwe", mdwe },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return probe_main(probes, argc, argv);
}
