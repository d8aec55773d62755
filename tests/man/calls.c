/* SPDX-License-Identifier: MIT
 *
 * calls.c - allocates in all ways, between two marks that security.sh finds in a trace.  The C
 * library's own malloc makes brk, mprotect, ... here; what only libarena makes must be listed.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 5000 };

static void mark(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

static void *churn(void *passed)
{
	void **block = calloc(COUNT, sizeof *block);

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < COUNT; i++)
			block[i] = malloc((size_t)(i * 37 % 3000 + 1));
		for (int i = 0; i < COUNT; i++)
			free(block[i]);
	}
	free(block);
	free(passed);
	return NULL;
}

int main(void)
{
	pthread_t thread[4];
	char *p = NULL;

	mark("begin\n");
	for (int i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, churn, malloc(100)) != 0)
			return 1;
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (size_t n = 1000; n < (size_t)64 << 20; n += n / 2) {
		p = realloc(p, n);
		p[n - 1] = 1;
	}
	free(p);
	for (int i = 0; i < 50; i++) {
		p = malloc((size_t)5 << 20);
		memset(p, 1, (size_t)5 << 20);
		free(p);
	}
	for (int i = 0; i < 30; i++)
		memset(malloc((size_t)1 << 20), 1, (size_t)1 << 20); /* on purpose never freed */
	if (fork() == 0) {
		churn(NULL);
		_exit(0);
	}
	wait(NULL);
	malloc_trim(0);
	mark("end\n");
	return 0;
}
