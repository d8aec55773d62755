/* SPDX-License-Identifier: MIT
 *
 * arena-preload: a mount namespace in which /etc/ld.so.preload says something else.
 *
 * The file may not exist, and a bind mount needs something to cover; making one on
 * the host would already be a change.  So a small tmpfs takes the place of /etc, in
 * which every entry but ours is the host's own, bind-mounted.  Nobody outside sees
 * any of it, and it goes with its last process.
 */
#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int ap_private_mounts(void)
{
	if (unshare(CLONE_NEWNS) != 0)
		return errno;
	/* EINVAL: "/" is not a mount point (a plain chroot), so what we mount would
	 * spread to the host.  The caller has to give up. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return errno;
	return 0;
}

static int clone_entry(const char *from, const char *to)
{
	char target[4096];
	struct stat st;
	ssize_t n;
	int fd;

	if (lstat(from, &st) != 0)
		return errno == ENOENT ? 0 : errno;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(from, target, sizeof(target) - 1);
		if (n < 0)
			return errno;
		target[n] = '\0';
		return symlink(target, to) == 0 ? 0 : errno;
	}
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(to, 0755) != 0)
			return errno;
	} else {
		fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			return errno;
		close(fd);
	}
	return mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0 ? 0 : errno;
}

static int clone_etc(const char *etc, const char *stage)
{
	DIR *d = opendir(etc);
	struct dirent *e;
	int err = 0;

	if (!d)
		return errno;
	while (!err && (e = readdir(d))) {
		char *from, *to;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, "ld.so.preload") == 0)
			continue;
		from = ap_format("%s/%s", etc, e->d_name);
		to = ap_format("%s/%s", stage, e->d_name);
		err = clone_entry(from, to);
		free(from);
		free(to);
	}
	closedir(d);
	return err;
}

static int copy_setuid(const char *from, const char *to)
{
	char buf[65536];
	int err = 0, in, out;
	ssize_t n;

	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	if (in < 0 || out < 0)
		err = errno;
	while (!err && (n = read(in, buf, sizeof(buf))) != 0)
		if (n < 0 || write(out, buf, (size_t)n) != n)
			err = n < 0 ? errno : EIO;
	/* Only here, on a tmpfs no one else can reach, is a setuid copy harmless. */
	if (!err && fchmod(out, 04755) != 0)
		err = errno;
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) != 0 && !err)
		err = errno;
	return err;
}

/* For a child of the caller: leaves it in a namespace of its own. */
int ap_private_etc(const struct ap *a, const struct ap_text *new_text, const char *setuid_copy)
{
	char *etc = ap_path(a, "/etc"), *stage = ap_path(a, AP_RUN "/etc");
	char *file = ap_format("%s/ld.so.preload", stage);
	char *copy = ap_format("%s/%s", stage, setuid_copy), *check = ap_path(a, AP_CHECK);
	int err = ap_private_mounts();

	if (!err && mkdir(stage, 0755) != 0 && errno != EEXIST)
		err = errno;
	/* Neither nosuid nor noexec: the setuid copy of the check program runs here.
	 * 16 MiB is some hundred names, one file and that copy many times over. */
	if (!err && mount("tmpfs", stage, "tmpfs", 0, "mode=755,size=16m") != 0)
		err = errno;
	if (!err)
		err = clone_etc(etc, stage);
	if (!err)
		err = ap_file_write(file, new_text->data, new_text->len, new_text->mode);
	if (!err)
		err = copy_setuid(check, copy);
	if (!err && mount(stage, etc, NULL, MS_MOVE, NULL) != 0)
		err = errno;
	free(etc);
	free(stage);
	free(file);
	free(copy);
	free(check);
	return err;
}
