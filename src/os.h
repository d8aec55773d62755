/* SPDX-License-Identifier: MIT
 *
 * os.h - the contract with the operating system.  Layer os; no OS #ifdef above it.
 *
 * All sizes and addresses are multiples of arn_os_page_bytes().  Nothing here logs, takes a lock,
 * touches errno or calls malloc; all of it may be called in a signal handler.  Memory from
 * arn_os_map() is zero.  The system calls are mmap, munmap, mremap, madvise, futex, on the way to
 * abort write, and at the start those that read the configuration: the list in SECURITY.md.
 */
#ifndef ARN_OS_H
#define ARN_OS_H

#include "compiler.h"

/* The kernel's page: 4, 16 or 64 KiB.  Valid after arn_os_init(). */
size_t arn_os_page_bytes(void);
/* True in a set-user-id program and the like (AT_SECURE): the environment is not to be trusted. */
bool arn_os_is_secure(void);
void arn_os_init(void);

/* ---- for reading the configuration, before there is a heap; errors are -errno ---------------- */

/* DIR is a descriptor, or OS_CWD.  Opens to read; waits for nobody, also at the end of a pipe. */
#define OS_CWD (-100)
int arn_os_open(int dir, const char *path);
void arn_os_close(int fd);
/* Bytes read, 0 at the end. */
long arn_os_read(int fd, void *buf, size_t n);
/* Entries of a directory in the kernel's form, 0 at the end. */
long arn_os_list(int fd, void *buf, size_t n);
/* Bytes of a link's target, without a NUL. */
long arn_os_readlink(const char *path, char *buf, size_t n);
struct os_file {
	uint32_t uid, mode;
	bool regular;
};
bool arn_os_stat(int fd, struct os_file *f);
/* The real user, and the path that execve was given (perhaps NULL), both from the kernel. */
uint32_t arn_os_uid(void);
const char *arn_os_execfn(void);

/* Fresh zeroed private memory near HINT (a wish; NULL: anywhere), or NULL. */
void *arn_os_map(void *hint, size_t n);

/* The same for a table of which little will ever be written: the kernel is asked not to charge it
 * as a whole. */
void *arn_os_map_sparse(size_t n);

/* As arn_os_map(), aligned to ALIGN, a power of two; trims what it mapped too much. */
void *arn_os_map_aligned(void *hint, size_t n, size_t align);

/* Gives [p, p + n) back.  False when the kernel refuses (ENOMEM at the map count limit, or a
 * sandbox): the range is then still mapped and the caller keeps it. */
bool arn_os_unmap(void *p, size_t n);

/* Changes the size of the mapping where it is, or with TO (mapped, NEW_N bytes, ours) moves it
 * there over what TO holds.  False: nothing changed, but TO is not ours any more. */
bool arn_os_resize(void *p, size_t old_n, size_t new_n);
bool arn_os_move(void *p, size_t old_n, size_t new_n, void *to);

/* Drops the contents at once; the range reads as zero afterwards.  False: contents kept (locked
 * memory, or a sandbox). */
bool arn_os_purge(void *p, size_t n);

/* The kernel may drop the contents when memory is short, until they are written again. */
void arn_os_offer(void *p, size_t n);

/* The range reads as zero in every forked child.  False: the kernel does not do that. */
bool arn_os_wipe_on_fork(void *p, size_t n);

/* Makes the range, which holds no code, writable, or read-only again. */
bool arn_os_protect(void *p, size_t n, bool writable);

/* Asks for huge pages in the range, or for none even where the system gives them unasked; best
 * effort. */
void arn_os_want_huge(void *p, size_t n);
void arn_os_want_no_huge(void *p, size_t n);

/* Waits while *WORD == EXPECTED (may return early); wakes one waiter. */
void arn_os_futex_wait(_Atomic uint32_t *word, uint32_t expected);
void arn_os_futex_wake(_Atomic uint32_t *word);

/* Writes to stderr, whole or not at all. */
void arn_os_write_err(const char *s, size_t n);

#endif
