/* SPDX-License-Identifier: MIT
 *
 * trim.c - asks a running process to give its free memory back, through the control word of
 * control.h: the only write that alloc-stats ever does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "trim.h"

static bool read_control(struct target *t, const struct found_root *r, struct arn_control *c)
{
	target_forget(t);
	return target_read(t, (uintptr_t)r->root.control, c, sizeof *c);
}

static bool write_request(struct target *t, const struct found_root *r, uint32_t request)
{
	uint64_t addr = (uintptr_t)r->root.control + offsetof(struct arn_control, trim_request);
	struct iovec here = {&request, sizeof request}, there = {(void *)(uintptr_t)addr, sizeof request};
	const struct area *a = target_area(t, addr);

	/* A damaged root must not make us write just anywhere: the word lies in the image's own data. */
	if (a == NULL || !a->writable || addr % 4 != 0)
		return false;
	return process_vm_writev(t->pid, &here, 1, &there, 1, 0) == sizeof request;
}

static uint64_t purged(struct target *t, const struct found_root *r)
{
	struct pages_state p;

	target_forget(t);
	return target_read(t, (uintptr_t)r->root.pages, &p, sizeof p) ? p.purged : 0;
}

enum trim_outcome trim_ask(struct target *t, const struct found_root *r, double seconds,
			   uint64_t *freed)
{
	double until = now_seconds() + seconds;
	uint64_t before = purged(t, r), last, now;
	struct arn_control c;
	uint32_t request;

	*freed = 0;
	if (!read_control(t, r, &c))
		return TRIM_FAILED;
	/* An earlier request that still waits serves us too. */
	request = c.trim_request;
	if (c.trim_request == c.trim_served && !write_request(t, r, ++request))
		return TRIM_FAILED;
	do {
		usleep(10000);
		if (!read_control(t, r, &c))
			return TRIM_FAILED;
		if (c.trim_served != request)
			continue;
		/* It was taken up; it is done when no more memory goes back. */
		now = purged(t, r);
		do {
			last = now;
			usleep(50000);
			now = purged(t, r);
		} while (now != last && now_seconds() < until);
		*freed = now - before;
		return TRIM_DONE;
	} while (now_seconds() < until);
	return TRIM_PENDING;
}
