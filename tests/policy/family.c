/* SPDX-License-Identifier: MIT
 *
 * family.c - calls the whole malloc family and says what can be seen of it.  Run under the C
 * library's malloc and under a libarena that hands the program back, it must say the same.
 *   family          lines of figures
 *   family block    the usable size of malloc(24): 24 is glibc's, 32 is libarena's
 *   family wait     the same, then waits for a line on its input
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOW(x) printf("%s %zu\n", #x, (size_t)(x))

static void *churn(void *arg)
{
	void **block = calloc(2000, sizeof *block);

	for (size_t i = 0; i < 20000; i++) {
		size_t n = i * 7919 % 5000, at = i % 2000;

		block[at] = realloc(block[at], n + 1);
		memset(block[at], (int)i, n + 1);
	}
	for (size_t i = 0; i < 2000; i++)
		free(block[i]);
	free(block);
	return arg;
}

static void aligned(void)
{
	void *p = NULL;

	SHOW(posix_memalign(&p, 4096, 100) == 0 && (uintptr_t)p % 4096 == 0);
	free(p);
	p = aligned_alloc(64, 128);
	SHOW((uintptr_t)p % 64);
	p = realloc(p, 1000);
	SHOW(malloc_usable_size(p) >= 1000); /* in glibc what is left of the page decides */
	free(p);
	p = memalign(256, 10);
	SHOW((uintptr_t)p % 256);
	free(p);
	p = valloc(10);
	SHOW((uintptr_t)p % 4096);
	free(p);
}

static void whole(void)
{
	char *text = NULL, *p = malloc((size_t)40 << 20);
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct mallinfo2 m = mallinfo2();
	struct mallinfo old = mallinfo();

	SHOW(m.hblks);
	SHOW(m.hblkhd);
	SHOW(old.hblkhd);
	SHOW(mallopt(M_MMAP_THRESHOLD, 1 << 20));
	SHOW(mallopt(-100, 1));
	SHOW(malloc_info(0, f));
	fclose(f);
	SHOW(strstr(text, "<heap nr=\"0\">") != NULL);
	SHOW(malloc_info(1, stdout));
	free(text);
	free(p);
	free(malloc(100000));
	SHOW(malloc_trim(0));
}

static void others(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	pthread_t thread[4];
	int status = -1;
	void *p;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, churn, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	if (fork() == 0) {
		churn(NULL);
		_exit(7);
	}
	wait(&status);
	SHOW(WEXITSTATUS(status));
	/* Nothing is bent for RTLD_DEEPBIND: libc's own name still means libc's. */
	dlopen("libm.so.6", RTLD_LAZY | RTLD_DEEPBIND);
	SHOW(dlsym(libc, "malloc") == dlsym(libc, "__libc_malloc"));
	p = reallocarray(NULL, 10, 10);
	SHOW(malloc_usable_size(p));
	free(p);
	SHOW(reallocarray(NULL, SIZE_MAX, 2) == NULL);
	SHOW(malloc_usable_size(NULL));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("%zu\n", malloc_usable_size(malloc(24)));
		fflush(stdout);
		if (strcmp(argv[1], "wait") == 0)
			getchar();
		return 0;
	}
	for (size_t n = 1; n < (size_t)1 << 22; n = n * 3 + 1) {
		void *p = malloc(n), *q = calloc(n, 1);

		printf("%zu: %zu %zu\n", n, malloc_usable_size(p), malloc_usable_size(q));
		p = realloc(p, n * 2);
		printf("%zu: %zu\n", n * 2, malloc_usable_size(p));
		free(p);
		free(q);
	}
	aligned();
	whole();
	others();
	SHOW(realloc(malloc(10), 0) == NULL);
	return 0;
}
