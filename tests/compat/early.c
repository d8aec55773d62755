/* SPDX-License-Identifier: MIT
 *
 * early.c - a shared object that probes are linked to: allocates, starts a thread and forks in
 * its constructor, which may run before the allocator's own, and frees in its destructor, which
 * runs after every atexit handler.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char *early_block;
char *early_block;
static char *big;

static void *allocate_in_thread(void *arg)
{
	free(malloc(100000));
	return memset(malloc(200), 7, 200) ? arg : NULL;
}

__attribute__((constructor)) static void early_start(void)
{
	pthread_t t;
	int status = -1;
	pid_t child;

	early_block = malloc(100);
	strcpy(early_block, "early");
	big = calloc(1, 1 << 20);
	if (pthread_create(&t, NULL, allocate_in_thread, early_block) != 0 ||
	    pthread_join(t, NULL) != 0)
		_exit(90);
	child = fork();
	if (child == 0) {
		free(early_block);
		_exit(malloc(5000) == NULL);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		_exit(91);
}

__attribute__((destructor)) static void late_end(void)
{
	char *p = realloc(early_block, 3000);

	if (p == NULL || strcmp(p, "early") != 0)
		_exit(92);
	free(p);
	free(big);
	if (malloc(70000) == NULL)
		_exit(93);
}
