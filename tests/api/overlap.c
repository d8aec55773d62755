/* SPDX-License-Identifier: MIT
 *
 * overlap.c - 100,000 live blocks of random sizes, each filled with a pattern of its own, under
 * random malloc, free, realloc and memalign: no block ever shares a byte with another.
 */
#include "form.h"

enum { slot_count = 100000, step_count = 200000 };

struct slot {
	unsigned char *p;
	size_t size;
	uint64_t seed;
};

static struct slot slots[slot_count];
static uint64_t state = UINT64_C(0x243f6a8885a308d3); /* any odd-looking number; pi's here */
static size_t broken, failed;

static void check(struct slot *s)
{
	broken += s->p && !pattern_holds(s->p, 0, s->size, s->seed);
}

static void drop(struct slot *s)
{
	check(s);
	F.free(s->p);
	s->p = NULL;
}

static void take(struct slot *s)
{
	uint64_t r = random_next(&state);

	s->size = random_size(&state);
	s->seed = r;
	if (r % 16 == 0)
		s->p = F.memalign((size_t)16 << (r / 16 % 9), s->size);
	else if (r % 16 == 1)
		s->p = F.calloc(1, s->size);
	else
		s->p = F.malloc(s->size);
	if (!s->p) {
		failed++;
		return;
	}
	if (r % 16 == 1)
		broken += !all_bytes_are(s->p, s->size, 0);
	pattern_fill(s->p, 0, s->size, s->seed);
}

static void resize(struct slot *s)
{
	size_t size = random_size(&state), keep = size < s->size ? size : s->size;
	unsigned char *p = F.realloc(s->p, size);

	if (!p) {
		failed++;
		return;
	}
	s->p = p;
	broken += !pattern_holds(p, 0, keep, s->seed);
	pattern_fill(p, keep, size, s->seed);
	s->size = size;
}

void test_overlap(void)
{
	for (size_t i = 0; i < slot_count; i++)
		take(&slots[i]);
	for (size_t i = 0; i < step_count; i++) {
		struct slot *s = &slots[random_next(&state) % slot_count];

		if (!s->p)
			take(s);
		else if (random_next(&state) % 4 == 0)
			resize(s);
		else
			drop(s);
	}
	for (size_t i = 0; i < slot_count; i++)
		check(&slots[i]);
	tap_ok(failed == 0, "no allocation failed");
	tap_ok(broken == 0, "%d blocks, %d random steps: no byte of any block was lost (%zu)",
	       slot_count, step_count, broken);
	for (size_t i = 0; i < slot_count; i++)
		drop(&slots[i]);
	tap_ok(broken == 0, "nor while all were freed");
}
