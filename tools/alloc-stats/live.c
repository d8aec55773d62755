/* SPDX-License-Identifier: MIT
 *
 * live.c - a running process as a target: process_vm_readv, /proc/PID/mem where that does not
 * exist, /proc/PID/smaps and pagemap.
 *
 * /proc/PID is opened once as a directory: it goes on naming this very process, so that a number
 * which was given to another process meanwhile is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "target.h"

/* smaps of a process with a million mappings has 600 MB; beyond this we stop reading. */
#define SMAPS_MAX ((size_t)1 << 30)

#define PM_PRESENT (1ull << 63)
#define PM_SWAPPED (1ull << 62)
#define PM_EXCLUSIVE (1ull << 56)

char *target_proc(struct target *t, const char *name)
{
	return t->proc_fd < 0 ? NULL : read_whole(t->proc_fd, name, SMAPS_MAX, NULL);
}

bool target_alive(struct target *t)
{
	char *stat = target_proc(t, "stat");
	char *end = stat != NULL ? strrchr(stat, ')') : NULL;
	bool alive = end != NULL && end[1] == ' ' && end[2] != 'Z' && end[2] != 'X';

	free(stat);
	return alive;
}

/* Which permission is missing, in one line. */
static void explain_denial(struct target *t)
{
	char *status = target_proc(t, "status"), *scope;
	const char *uid = status != NULL ? strstr(status, "\nUid:") : NULL;
	unsigned long owner = uid != NULL ? strtoul(uid + 5, NULL, 10) : 0;

	scope = read_whole(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", 16, NULL);
	if (uid != NULL && owner != getuid())
		target_fail(t, EXIT_DENIED,
			    "process %d belongs to user %lu: run alloc-stats as that user or with "
			    "sudo (it needs CAP_SYS_PTRACE)", t->pid, owner);
	else if (scope != NULL && scope[0] > '0')
		target_fail(t, EXIT_DENIED,
			    "reading process %d is refused by kernel.yama.ptrace_scope = %c: use sudo, "
			    "or `sysctl kernel.yama.ptrace_scope=0`%s", t->pid, scope[0],
			    scope[0] > '2' ? " after a reboot" : "");
	else
		target_fail(t, EXIT_DENIED,
			    "reading process %d is refused (it gave up its dumpable flag, or a sandbox "
			    "or container forbids ptrace): use sudo, or give CAP_SYS_PTRACE", t->pid);
	free(status);
	free(scope);
}

static bool live_read(struct target *t, uint64_t addr, void *buf, size_t n)
{
	struct iovec here = {buf, n}, there = {(void *)(uintptr_t)addr, n};
	ssize_t got;

	if (!t->use_mem) {
		got = process_vm_readv(t->pid, &here, 1, &there, 1, 0);
		if (got == (ssize_t)n)
			return true;
		if (got < 0 && errno == ENOSYS) {
			t->use_mem = true;
		} else {
			if (got < 0 && errno == EPERM)
				explain_denial(t);
			return false;
		}
	}
	if (t->mem_fd < 0)
		t->mem_fd = openat(t->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	if (t->mem_fd < 0) {
		if (errno == EACCES || errno == EPERM)
			explain_denial(t);
		return false;
	}
	return pread(t->mem_fd, buf, n, (off_t)addr) == (ssize_t)n;
}

/* "start-end perms offset dev inode   name" */
static bool parse_area(char *line, struct area *a)
{
	unsigned long long start, end, offset, inode;
	char perms[8];
	int at = 0;

	if (sscanf(line, "%llx-%llx %7s %llx %*s %llu %n", &start, &end, perms, &offset, &inode,
		   &at) < 5 || at == 0)
		return false;
	*a = (struct area){.start = start, .end = end, .offset = offset};
	a->readable = perms[0] == 'r';
	a->writable = perms[1] == 'w';
	a->executable = perms[2] == 'x';
	a->file = inode != 0;
	a->name = grab_text(line + at);
	return true;
}

static bool live_list(struct target *t, bool with_rss)
{
	char *text = target_proc(t, with_rss ? "smaps" : "maps"), *next;
	size_t capacity = 0;

	/* A kernel without smaps: everything but residence. */
	if (text == NULL && with_rss && errno == ENOENT)
		text = target_proc(t, "maps");
	if (text == NULL) {
		if (errno == EACCES || errno == EPERM)
			explain_denial(t);
		else
			target_fail(t, EXIT_FAILED, "process %d: %s", t->pid,
				    errno == ESRCH ? "it has ended" : strerror(errno));
		return false;
	}
	for (char *line = text; line != NULL && *line != '\0'; line = next) {
		struct area *last = t->nareas > 0 ? &t->areas[t->nareas - 1] : NULL;
		struct area a;

		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (line[0] >= 'A' && line[0] <= 'Z') {
			if (last != NULL && strncmp(line, "Rss:", 4) == 0)
				last->rss = strtoull(line + 4, NULL, 10) * 1024;
			else if (last != NULL && strncmp(line, "Swap:", 5) == 0)
				last->swap = strtoull(line + 5, NULL, 10) * 1024;
		} else if (parse_area(line, &a)) {
			t->areas = grab_room(t->areas, t->nareas, &capacity, sizeof a);
			t->areas[t->nareas++] = a;
		}
	}
	free(text);
	return true;
}

static bool live_pages(struct target *t, uint64_t start, uint64_t end, uint8_t *flags)
{
	uint64_t words[4096], at = start / t->page_bytes, n = (end - start) / t->page_bytes;

	if (t->pagemap_fd == -1) {
		t->pagemap_fd = openat(t->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
		if (t->pagemap_fd < 0)
			t->pagemap_fd = -2;
	}
	if (t->pagemap_fd < 0)
		return false;
	while (n > 0) {
		size_t want = n < 4096 ? n : 4096;
		ssize_t got = pread(t->pagemap_fd, words, want * 8, (off_t)(at * 8));

		if (got < 8)
			return false;
		got /= 8;
		for (ssize_t i = 0; i < got; i++)
			*flags++ = words[i] & PM_PRESENT ?
				   (words[i] & PM_EXCLUSIVE ? PAGE_OURS : PAGE_MAYBE) :
				   words[i] & PM_SWAPPED ? PAGE_SWAPPED : 0;
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return true;
}

static void live_close(struct target *t)
{
	if (t->mem_fd >= 0)
		close(t->mem_fd);
	if (t->pagemap_fd >= 0)
		close(t->pagemap_fd);
	if (t->proc_fd >= 0)
		close(t->proc_fd);
}

static const struct target_ops live_ops = {live_read, live_list, live_pages, live_close};

struct target *target_open_pid(pid_t pid, char **error, int *status)
{
	struct target *t = target_new(&live_ops);
	char path[32];

	snprintf(path, sizeof path, "/proc/%d", pid);
	t->pid = pid;
	t->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	t->proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->proc_fd < 0) {
		*error = errno == ENOENT ? grab_format("there is no process %d", pid)
					 : grab_format("%s: %s", path, strerror(errno));
		*status = EXIT_FAILED;
		target_close(t);
		return NULL;
	}
	t->command = target_proc(t, "comm");
	if (t->command == NULL)
		t->command = grab_text("?");
	t->command[strcspn(t->command, "\n")] = '\0';
	return t;
}
