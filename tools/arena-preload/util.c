/* SPDX-License-Identifier: MIT
 *
 * arena-preload: messages, paths below --root, the lock, quiet runs of a program.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char ap_name[] = "arena-preload";

void ap_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	/* Children write to the same place: keep the lines in order. */
	fflush(stdout);
}

void ap_warn(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", ap_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void ap_warn_errno(int err, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", ap_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(err));
}

void *ap_alloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p) {
		ap_warn("out of memory");
		_exit(1);
	}
	return p;
}

char *ap_format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0) {
		ap_warn("out of memory");
		_exit(1);
	}
	va_end(ap);
	return s;
}

char *ap_path(const struct ap *a, const char *path)
{
	return ap_format("%s%s", a->root, path);
}

bool ap_exists(const struct ap *a, const char *path)
{
	char *p = ap_path(a, path);
	struct stat st;
	bool yes = lstat(p, &st) == 0;

	free(p);
	return yes;
}

/* mkdir -p of everything above the last component of path. */
int ap_make_dirs(const char *path)
{
	char *p = ap_format("%s", path);

	for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(p, 0755) != 0 && errno != EEXIST) {
			int err = errno;

			free(p);
			return err;
		}
		*s = '/';
	}
	free(p);
	return 0;
}

/* One arena-preload at a time changes anything.  The lock dies with its holder. */
int ap_lock(struct ap *a)
{
	char *path = ap_path(a, AP_RUN "/lock");
	int err = ap_make_dirs(path);

	if (!err) {
		a->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (a->lock_fd < 0)
			err = errno;
		else if (flock(a->lock_fd, LOCK_EX) != 0)
			err = errno;
	}
	if (err)
		ap_warn_errno(err, "%s", path);
	free(path);
	return err;
}

void ap_unlock(struct ap *a)
{
	if (a->lock_fd >= 0)
		close(a->lock_fd);
	a->lock_fd = -1;
}

/* Run a program of the system below root; its exit status, or -1. */
int ap_run_quiet(const struct ap *a, char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (*a->root && (chroot(a->root) != 0 || chdir("/") != 0))
			_exit(126);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
