/* SPDX-License-Identifier: MIT
 *
 * os_linux.c - the operating system layer for Linux.
 *
 * On x86-64 and aarch64 the system calls are made directly: our first call may come before libc is
 * ready (a program under LD_AUDIT), and none of them may touch errno.  Elsewhere syscall(2) is
 * used with errno kept.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bits.h"
#include "tuning.h"

static size_t page_bytes = 4096;

/* Set when a call was answered EPERM or ENOSYS: a sandbox, never ask again in this process.
 * EINVAL and ENOMEM concern one range only. */
static _Atomic bool purge_refused, huge_refused, remap_refused;

#if defined(__x86_64__) && !defined(__ILP32__)
#define RAW_CALLS 1
static long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
#define RAW_CALLS 1
static long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#define RAW_CALLS 0
static long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	int kept = errno;
	long ret = syscall(nr, a, b, c, d, e, f);

	if (ret == -1)
		ret = -errno;
	errno = kept;
	return ret;
}
#endif

/* 32-bit kernels have only mmap2, whose offset (0 here) is in units of 4096. */
#ifdef SYS_mmap2
#define SYS_MMAP SYS_mmap2
#else
#define SYS_MMAP SYS_mmap
#endif
/* Of the kernel's interface; musl-gcc does not find linux/futex.h. */
#define WAIT_PRIVATE (0 | 128)
#define WAKE_PRIVATE (1 | 128)
/* 32-bit kernels of the 64-bit-time era may name only the new call; the arguments we use agree. */
#ifdef SYS_futex
#define SYS_FUTEX SYS_futex
#else
#define SYS_FUTEX SYS_futex_time64
#endif

static bool is_error(long ret)
{
	return (unsigned long)ret > -4096ul;
}

static bool is_refusal(long ret)
{
	return ret == -EPERM || ret == -ENOSYS;
}

void arn_os_init(void)
{
	unsigned long n = getauxval(AT_PAGESZ);

	if (bits_is_pow2(n))
		page_bytes = n;
}

bool arn_os_is_secure(void)
{
	return getauxval(AT_SECURE) != 0;
}

uint32_t arn_os_uid(void)
{
	return (uint32_t)getauxval(AT_UID);
}

const char *arn_os_execfn(void)
{
	return (const char *)getauxval(AT_EXECFN);
}

/* ---- files: only calls that the loader makes too, and reading of directories and links --------
 */

int arn_os_open(int dir, const char *path)
{
	const long flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	_Static_assert(OS_CWD == AT_FDCWD, "the kernel's number");
	return (int)sys6(SYS_openat, dir, (long)path, flags, 0, 0, 0);
}

void arn_os_close(int fd)
{
	sys6(SYS_close, fd, 0, 0, 0, 0, 0);
}

long arn_os_read(int fd, void *buf, size_t n)
{
	long ret;

	do
		ret = sys6(SYS_read, fd, (long)buf, (long)n, 0, 0, 0);
	while (ret == -EINTR);
	return ret;
}

long arn_os_list(int fd, void *buf, size_t n)
{
	return sys6(SYS_getdents64, fd, (long)buf, (long)n, 0, 0, 0);
}

long arn_os_readlink(const char *path, char *buf, size_t n)
{
	return sys6(SYS_readlinkat, AT_FDCWD, (long)path, (long)buf, (long)n, 0, 0);
}

bool arn_os_stat(int fd, struct os_file *f)
{
	struct stat st;
#if RAW_CALLS
	/* Here libc's struct is the kernel's. */
	bool ok = !is_error(sys6(SYS_newfstatat, fd, (long)"", (long)&st, AT_EMPTY_PATH, 0, 0));
#else
	int kept = errno;
	bool ok = fstat(fd, &st) == 0;

	errno = kept;
#endif
	if (ok)
		*f = (struct os_file){
			.uid = st.st_uid, .mode = st.st_mode, .regular = S_ISREG(st.st_mode)};
	return ok;
}

size_t arn_os_page_bytes(void)
{
	return page_bytes;
}

static void *map(void *hint, size_t n, int flags)
{
	const long prot = PROT_READ | PROT_WRITE;
	long ret;

	flags |= MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef __s390__
	/* The one architecture whose mmap finds its arguments in memory. */
	ret = sys6(SYS_mmap, (long)(const long[]){(long)hint, (long)n, prot, flags, -1, 0}, 0, 0, 0,
		   0, 0);
#else
	ret = sys6(SYS_MMAP, (long)hint, (long)n, prot, flags, -1, 0);
#endif
	return is_error(ret) ? NULL : (void *)ret;
}

void *arn_os_map(void *hint, size_t n)
{
	return map(hint, n, 0);
}

void *arn_os_map_sparse(size_t n)
{
	void *p = map(NULL, n, MAP_NORESERVE);

	/* Some sandboxes refuse every flag they do not know. */
	if (p == NULL)
		p = map(NULL, n, 0);
	if (p != NULL)
		arn_os_want_no_huge(p, n);
	return p;
}

void *arn_os_map_aligned(void *hint, size_t n, size_t align)
{
	char *p = arn_os_map(hint, n);
	uintptr_t start;

	if (p == NULL || ((uintptr_t)p & (align - 1)) == 0)
		return p;
	if (!arn_os_unmap(p, n))
		return NULL;
	p = arn_os_map(NULL, n + align - page_bytes);
	if (p == NULL)
		return NULL;
	start = bits_round_up((uintptr_t)p, align);
	/* A piece that cannot be cut off costs address space, nothing else. */
	if (start != (uintptr_t)p)
		arn_os_unmap(p, start - (uintptr_t)p);
	if ((uintptr_t)p + align - page_bytes != start)
		arn_os_unmap((void *)(start + n), (uintptr_t)p + align - page_bytes - start);
	return (void *)start;
}

bool arn_os_unmap(void *p, size_t n)
{
	return !is_error(sys6(SYS_munmap, (long)p, (long)n, 0, 0, 0, 0));
}

/* 0, or why not. */
static int remap(void *p, size_t old_n, size_t new_n, int flags, void *to)
{
	long ret;

	if (atomic_load_explicit(&remap_refused, memory_order_relaxed))
		return EPERM;
	ret = sys6(SYS_mremap, (long)p, (long)old_n, (long)new_n, flags, (long)to, 0);
	if (is_refusal(ret))
		atomic_store_explicit(&remap_refused, true, memory_order_relaxed);
	return is_error(ret) ? (int)-ret : 0;
}

/* Smaller by munmap: a sandbox allows it where it refuses mremap, and qemu up to 7.2, in one
 * address range (each 32-bit program), answers a shrinking mremap by taking away what lies behind
 * the block. */
bool arn_os_resize(void *p, size_t old_n, size_t new_n)
{
	if (new_n < old_n)
		return arn_os_unmap((char *)p + new_n, old_n - new_n);
	return remap(p, old_n, new_n, 0, NULL) == 0;
}

bool arn_os_move(void *p, size_t old_n, size_t new_n, void *to)
{
	int why = remap(p, old_n, new_n, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	void *again;

	/* Of what is more than one mapping the kernel finds out when it has unmapped TO, where
	 * another thread's mapping may be by now.  What can be mapped once more is nobody's; else
	 * some address space is lost. */
	if (why == EFAULT) {
		again = map(to, new_n, MAP_FIXED_NOREPLACE);
		if (again != NULL)
			arn_os_unmap(again, new_n);
	} else if (why != 0) {
		arn_os_unmap(to, new_n);
	}
	return why == 0;
}

static bool advise(void *p, size_t n, int advice, _Atomic bool *refused)
{
	long ret;

	if (atomic_load_explicit(refused, memory_order_relaxed))
		return false;
	ret = sys6(SYS_madvise, (long)p, (long)n, advice, 0, 0, 0);
	if (is_refusal(ret))
		atomic_store_explicit(refused, true, memory_order_relaxed);
	return !is_error(ret);
}

bool arn_os_purge(void *p, size_t n)
{
	return advise(p, n, MADV_DONTNEED, &purge_refused);
}

void arn_os_offer(void *p, size_t n)
{
	static _Atomic bool offer_refused;

	(void)advise(p, n, MADV_FREE, &offer_refused);
}

bool arn_os_wipe_on_fork(void *p, size_t n)
{
	static _Atomic bool wipe_refused;

	return advise(p, n, MADV_WIPEONFORK, &wipe_refused);
}

bool arn_os_protect(void *p, size_t n, bool writable)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);

	return !is_error(sys6(SYS_mprotect, (long)p, (long)n, prot, 0, 0, 0));
}

void arn_os_want_huge(void *p, size_t n)
{
	(void)advise(p, n, MADV_HUGEPAGE, &huge_refused);
}

void arn_os_want_no_huge(void *p, size_t n)
{
	(void)advise(p, n, MADV_NOHUGEPAGE, &huge_refused);
}

void arn_os_futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
	sys6(SYS_FUTEX, (long)word, WAIT_PRIVATE, (long)expected, 0, 0, 0);
}

void arn_os_futex_wake(_Atomic uint32_t *word)
{
	sys6(SYS_FUTEX, (long)word, WAKE_PRIVATE, 1, 0, 0, 0);
}

void arn_os_write_err(const char *s, size_t n)
{
	sys6(SYS_write, STDERR_FILENO, (long)s, (long)n, 0, 0, 0);
}
