/* SPDX-License-Identifier: MIT
 *
 * init.c - the beginning and the end of a process.  Layer api.
 *
 * The first malloc may come before our constructor (other libraries' constructors, the loader
 * itself): it makes the first mapping and needs nothing of libc.  The constructor then reads the
 * options, and registers what runs in a forked child and in a thread that ends.
 */
#include "init.h"

#include <pthread.h>
#include <unistd.h>

#include "fork.h"
#include "live.h"
#include "lock.h"
#include "options.h"
#include "os.h"
#include "pages.h"
#include "stats.h"
#include "tcache.h"

static struct lock boot_lock;
static _Atomic bool booted;
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

__attribute__((constructor)) static void begin(void)
{
	const char *text = arn_os_is_secure() ? NULL : env_value(environ, "ARENA_OPTIONS");

	if (text != NULL)
		arn_options_parse(text);
	if (arn_options.stats != 0 && arn_tcache_close())
		arn_live_begin();
	/* Neither may wait for the first malloc, which may come from inside pthread_atfork itself,
	 * or from pthread_setspecific. */
	pthread_atfork(NULL, NULL, arn_fork_child);
	arn_thread_init();
}

__attribute__((destructor)) static void end(void)
{
	if (arn_options.stats == 1)
		arn_stats_print();
}
