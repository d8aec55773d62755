/* SPDX-License-Identifier: MIT
 *
 * init.c - the beginning and the end of a process.  Layer api.
 *
 * The first malloc may come before our constructor (other libraries' constructors, the loader
 * itself): it reads the configuration, makes the first mapping and needs nothing of libc.  The
 * constructor registers what runs in a forked child and in a thread that ends.
 *
 * The configuration decides first of all whether the program is ours.  If not, no thread ever gets
 * a heap: every call finds the empty bins of arn_heap_none and takes the slow path, where alloc.c
 * asks libc.  The fast path knows nothing of it.  What was handed out before (arenas, or when the
 * environment could not be read in time) is known by its address and stays ours.
 */
#include "init.h"

#include <pthread.h>
#include <unistd.h>

#include "fatal.h"
#include "foreign.h"
#include "fork.h"
#include "live.h"
#include "lock.h"
#include "options.h"
#include "os.h"
#include "pages.h"
#include "policy.h"
#include "stats.h"
#include "tcache.h"

static struct lock boot_lock;
static _Atomic bool booted;

/* In .data, which the constructor touches anyway, not in .bss. */
static struct {
	_Atomic uint32_t service; /* arn_policy.service, for arn_serves() */
	bool environment_unread;
	char variable[16]; /* here, since no process need touch our constants before it allocates */
} start = {.environment_unread = true, .variable = "ARENA_OPTIONS"};

bool arn_is_booted(void)
{
	/* Acquire pairs with the release in arn_boot(). */
	return atomic_load_explicit(&booted, memory_order_acquire);
}

bool arn_boot(void)
{
	bool ok;

	/* Acquire pairs with the release below. */
	if (likely(atomic_load_explicit(&booted, memory_order_acquire)))
		return true;
	lock_take(&boot_lock);
	ok = atomic_load_explicit(&booted, memory_order_relaxed);
	if (!ok) {
		arn_os_init();
		ok = arn_pages_boot();
		arn_lock_watch_set(arn_fork_child);
		atomic_store_explicit(&booted, ok, memory_order_release);
	}
	lock_drop(&boot_lock);
	return ok;
}

/* The value of NAME in ENVP, or NULL.  getenv() would do, but not before libc is ready. */
static const char *env_value(char **envp, const char *name)
{
	for (; envp != NULL && *envp != NULL; envp++) {
		size_t i = 0;

		while (name[i] != '\0' && (*envp)[i] == name[i])
			i++;
		if (name[i] == '\0' && (*envp)[i] == '=')
			return *envp + i + 1;
	}
	return NULL;
}

/* Its options go before those of the files.  Before libc is ready there is no environment: then the
 * constructor asks again. */
static void read_environment(void)
{
	const char *text = arn_os_is_secure() ? NULL : env_value(environ, start.variable);

	start.environment_unread = environ == NULL;
	if (text != NULL)
		arn_options_parse(text);
}

/* Release pairs with the acquire in arn_serves(). */
static void tell(enum policy_service service)
{
	arn_policy.service = service;
	atomic_store_explicit(&start.service, service, memory_order_release);
}

/* Acts on the option `enabled`. */
static void decide(void)
{
	const struct foreign_calls *libc;

	if (likely(arn_options.enabled)) {
		/* Only when libc had served until the environment was read. */
		if (unlikely(arn_policy.service == POLICY_LIBC))
			arn_foreign_allow(arn_foreign_serving(), false);
		tell(POLICY_OURS);
		return;
	}
	/* What the search itself may allocate is ours. */
	tell(POLICY_OURS);
	if (!arn_foreign_replaced(&libc)) {
		tell(POLICY_NOT_ASKED);
		return;
	}
	if (libc == NULL) {
		tell(POLICY_IMPOSSIBLE);
		arn_warn("enabled=no: there is no other malloc here", NULL, 0);
		return;
	}
	arn_foreign_allow(libc, true);
	arn_heap = &arn_heap_none;
	tell(POLICY_LIBC);
}

bool arn_serves(void)
{
	uint32_t told = atomic_load_explicit(&start.service, memory_order_acquire);

	/* Whoever comes while another one reads is served by us, which is always possible. */
	if (unlikely(told == POLICY_UNDECIDED) &&
	    atomic_compare_exchange_strong_explicit(&start.service, &told, POLICY_OURS,
						    memory_order_acquire, memory_order_acquire)) {
		arn_policy_read();
		read_environment();
		decide();
		told = arn_policy.service;
	}
	return told != POLICY_LIBC;
}

#ifdef PIC
/* Of the start files, which the shared libraries are linked without: what pthread_atfork() names us
 * by.  Weak, for the programs of the unit tests have theirs. */
extern void *__dso_handle __attribute__((weak, visibility("hidden")));
void *__dso_handle = NULL;
#endif

__attribute__((constructor)) static void begin(void)
{
	arn_serves();
	if (start.environment_unread) {
		read_environment();
		decide();
	}
	if (arn_options.stats != 0 && arn_serves() && arn_tcache_close())
		arn_live_begin();
	/* Neither may wait for the first malloc, which may come from inside pthread_atfork itself,
	 * or from pthread_setspecific. */
	pthread_atfork(NULL, NULL, arn_fork_child);
	arn_thread_init();
}

__attribute__((destructor)) static void end(void)
{
	if (arn_options.stats == 1 && arn_serves())
		arn_stats_print();
}
