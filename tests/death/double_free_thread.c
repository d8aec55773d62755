/* SPDX-License-Identifier: MIT
 *
 * double_free_thread SIZE WHO - WHO is 1: main frees, then another thread frees again;
 * 2: another thread frees, then main; 3: two other threads.
 */
#include "crime.h"

static void *volatile victim;

static void *free_it(void *is_second)
{
	if (is_second)
		CRIME(victim, c.free(victim));
	else
		c.free(victim);
	force_flush();
	return NULL;
}

static void in_thread(int is_second)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, free_it, is_second ? &thread : NULL) == 0)
		pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1), who = size_argument(argc, argv, 2);
	/* A neighbour that stays live keeps the run from being recycled. */
	void *volatile wall = c.malloc(size);

	victim = c.malloc(size);
	if (who == 1)
		c.free(victim);
	else
		in_thread(0);
	if (who == 2)
		CRIME(victim, c.free(victim));
	else
		in_thread(1);
	force_flush();
	c.free(wall);
	return 0;
}
