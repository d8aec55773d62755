/* SPDX-License-Identifier: MIT
 *
 * world.c - the operating system and libc of the library in the model: memory comes from one array,
 * in the same order each time; a thread is what the explorer says.  It replaces os_linux.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bits.h"
#include "explore.h"
#include "fatal.h"
#include "lock.h"
#include "os.h"
#include "tuning.h"
#include "world.h"

enum { PAGE = 4096 };
/* Far more than any scenario maps, and all of it in the first window but what is asked to lie far. */
#define WORLD_BYTES (64 * MIB)

static char *world, *far_from_here;
static size_t used, far_used;
bool world_real_lock, world_maps_far;
static void (*end)(void *);

void world_begin(void)
{
	world = mmap((void *)0x200000000000, WORLD_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	far_from_here = mmap((void *)0x200080000000, WORLD_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (world == MAP_FAILED || far_from_here == MAP_FAILED)
		abort();
}

/* What a scenario's threads may change besides .data and .bss; the blocks themselves are theirs.  The
 * page map lies at the very beginning. */
void *world_memory(size_t *n)
{
	*n = used;
	return world;
}

/* Mappings of threads: an execution begins with them zero. */
enum { FRESH_MAX = 64 };
static struct {
	char *p;
	size_t n;
} fresh[FRESH_MAX];
static unsigned nfresh;

static void *map(size_t n, size_t align)
{
	char *base = world_maps_far ? far_from_here : world;
	size_t *at = world_maps_far ? &far_used : &used;
	char *p;

	*at = bits_round_up(*at, align);
	p = base + *at;
	*at += n;
	if (explore_me() >= 0) {
		if (nfresh == FRESH_MAX || *at > WORLD_BYTES)
			violation("too many mappings");
		fresh[nfresh].p = p;
		/* Of a chunk or block nobody but its user looks at more. */
		fresh[nfresh++].n = n < 16 * PAGE ? n : 16 * PAGE;
	}
	return p;
}

void world_again(void)
{
	for (unsigned i = 0; i < nfresh; i++)
		memset(fresh[i].p, 0, fresh[i].n);
}

void arn_os_init(void) { }
bool arn_os_is_secure(void) { return true; }
size_t arn_os_page_bytes(void) { return PAGE; }
void *arn_os_map(void *hint, size_t n) { (void)hint; return map(n, PAGE); }
void *arn_os_map_sparse(size_t n) { return map(n, PAGE); }
void *arn_os_map_aligned(void *hint, size_t n, size_t align) { (void)hint; return map(n, align); }
bool arn_os_unmap(void *p, size_t n) { (void)p; (void)n; return true; }
bool arn_os_resize(void *p, size_t o, size_t n) { (void)p; (void)o; (void)n; return false; }
bool arn_os_move(void *p, size_t o, size_t n, void *to) { (void)p; (void)o; (void)n; (void)to; return false; }
bool arn_os_wipe_on_fork(void *p, size_t n) { (void)p; (void)n; return false; }
void arn_os_want_huge(void *p, size_t n) { (void)p; (void)n; }
void arn_os_want_no_huge(void *p, size_t n) { (void)p; (void)n; }
void arn_os_write_err(const char *s, size_t n) { (void)s; (void)n; }

/* A world without files. */
int arn_os_open(int dir, const char *path) { (void)dir; (void)path; return -ENOENT; }
void arn_os_close(int fd) { (void)fd; }
long arn_os_read(int fd, void *buf, size_t n) { (void)fd; (void)buf; (void)n; return 0; }
long arn_os_list(int fd, void *buf, size_t n) { (void)fd; (void)buf; (void)n; return 0; }
long arn_os_readlink(const char *path, char *buf, size_t n) { (void)path; (void)buf; (void)n; return -ENOENT; }
bool arn_os_stat(int fd, struct os_file *f) { (void)fd; (void)f; return false; }
uint32_t arn_os_uid(void) { return 0; }
const char *arn_os_execfn(void) { return NULL; }

bool arn_os_purge(void *p, size_t n)
{
	/* Blocks of chunks are nobody's word. */
	if (n <= 16 * PAGE)
		explore_zero(p, n);
	return true;
}

void arn_os_offer(void *p, size_t n)
{
	(void)p;
	(void)n;
}

void arn_os_futex_wait(_Atomic uint32_t *word, uint32_t expected) { explore_futex_wait(word, expected); }
void arn_os_futex_wake(_Atomic uint32_t *word) { explore_futex_wake(word); }

/* A lock that waits takes one step instead of a hundred looks, but in the scenario of the lock. */
void __real_arn_lock_take_slow(struct lock *l);
void __real_arn_lock_wake_slow(struct lock *l);
void __wrap_arn_lock_take_slow(struct lock *l);
void __wrap_arn_lock_wake_slow(struct lock *l);
void __wrap_arn_lock_take_slow(struct lock *l)
{
	if (world_real_lock)
		__real_arn_lock_take_slow(l);
	else
		explore_wait_zero(&l->word);
}
void __wrap_arn_lock_wake_slow(struct lock *l)
{
	if (world_real_lock)
		__real_arn_lock_wake_slow(l);
}

void __wrap_arn_crime(enum arn_crime crime, const void *p) __attribute__((noreturn));
void __wrap_arn_crime(enum arn_crime crime, const void *p)
{
	violation("crime %d at %p", (int)crime, p);
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*f)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*f)(void *))
{
	*key = 0;
	end = f;
	return 0;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	(void)key;
	(void)value;
	return 0;
}

void world_thread_end(struct heap *h)
{
	for (int round = 0; round < 3; round++)
		end(h);
}
