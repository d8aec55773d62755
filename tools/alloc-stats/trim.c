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

/* What the kernel needs at most to take some hundred GiB back. */
#define SERVING_SECONDS 30.0

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

enum trim_outcome trim_ask(struct target *t, const struct found_root *r, bool now, double seconds,
			   uint64_t *freed, char **why)
{
	double until;
	struct arn_control c;
	uint32_t request;

	*freed = 0;
	*why = NULL;
	if (!read_control(t, r, &c))
		return TRIM_FAILED;
	/* An earlier request that still waits serves us too. */
	request = c.trim_request;
	if (c.trim_request == c.trim_served && !write_request(t, r, ++request))
		return TRIM_FAILED;
	if (now)
		*why = trim_now(t, r);
	until = now_seconds() + seconds;
	for (bool taken = false;; usleep(1000)) {
		if (!read_control(t, r, &c))
			return TRIM_FAILED;
		if (c.trim_done == request)
			break;
		if (!taken && c.trim_served == request) {
			taken = true;
			until += SERVING_SECONDS;
		}
		if (now_seconds() > until)
			return TRIM_PENDING;
	}
	/* Once more: trim_bytes is written before trim_done, but was perhaps read before it. */
	if (!read_control(t, r, &c))
		return TRIM_FAILED;
	*freed = c.trim_bytes;
	return TRIM_DONE;
}
