/* SPDX-License-Identifier: MIT
 *
 * arena-preload: reading and replacing small files.
 *
 * ld.so reads /etc/ld.so.preload in every exec, so at any instant the name must
 * lead to the whole old file or the whole new one, also after a power cut:
 * write a temporary file in the same directory, fsync, rename, fsync the directory.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ld.so maps the file whole; nobody lists a thousand libraries of 64 bytes. */
enum { MAX_FILE_BYTES = 65536 };

int ap_file_read(const char *path, struct ap_text *t)
{
	struct stat st;
	int err = 0, fd;

	*t = (struct ap_text){ .mode = 0644 };
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (fstat(fd, &st) != 0)
		err = errno;
	else if (!S_ISREG(st.st_mode))
		err = EINVAL;
	else if (st.st_size > MAX_FILE_BYTES)
		err = EFBIG;
	if (!err) {
		t->exists = true;
		t->mode = st.st_mode & 07777;
		t->data = ap_alloc(MAX_FILE_BYTES + 1);
		while (t->len <= MAX_FILE_BYTES) {
			ssize_t n = read(fd, t->data + t->len, MAX_FILE_BYTES + 1 - t->len);

			if (n > 0)
				t->len += (size_t)n;
			else if (n == 0)
				break;
			else if (errno != EINTR) {
				err = errno;
				break;
			}
		}
		if (t->len > MAX_FILE_BYTES)
			err = EFBIG;
	}
	close(fd);
	if (err)
		ap_text_free(t);
	return err;
}

void ap_text_free(struct ap_text *t)
{
	free(t->data);
	*t = (struct ap_text){ .mode = 0644 };
}

bool ap_text_equal(const struct ap_text *x, const struct ap_text *y)
{
	return x->exists == y->exists && x->len == y->len && x->mode == y->mode &&
	       (x->len == 0 || memcmp(x->data, y->data, x->len) == 0);
}

static int sync_dir_of(const char *path)
{
	char *dir = ap_format("%s", path);
	int err = 0, fd;

	strrchr(dir, '/')[dir == strrchr(dir, '/')] = '\0';	/* "/x" has directory "/" */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return err;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int ap_file_write(const char *path, const void *data, size_t len, mode_t mode)
{
	char *tmp = ap_format("%s.arena-new", path);
	int err = 0, fd;

	/* One left by a killed run; O_EXCL then makes sure that the new one is ours. */
	if (unlink(tmp) != 0 && errno != ENOENT)
		err = errno;
	fd = err ? -1 : open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = err ? err : errno;
		free(tmp);
		return err;
	}
	err = write_all(fd, data, len);
	/* fchmod, since the umask would cut the mode of open. */
	if (!err && (fchown(fd, geteuid(), getegid()) != 0 || fchmod(fd, mode) != 0 ||
		     fsync(fd) != 0))
		err = errno;
	if (close(fd) != 0 && !err)
		err = errno;
	if (!err && rename(tmp, path) != 0)
		err = errno;
	if (err)
		unlink(tmp);
	else
		err = sync_dir_of(path);
	free(tmp);
	return err;
}

int ap_file_remove(const char *path)
{
	if (unlink(path) != 0)
		return errno == ENOENT ? 0 : errno;
	return sync_dir_of(path);
}

/* Make ld.so.preload say new_text; no backup, used to go back to old as well. */
int ap_restore(const struct ap *a, const struct ap_text *text)
{
	char *path = ap_path(a, AP_FILE);
	int err;

	if (text->exists)
		err = ap_file_write(path, text->data, text->len, text->mode);
	else
		err = ap_file_remove(path);
	free(path);
	return err;
}

int ap_store(const struct ap *a, const struct ap_text *old, const struct ap_text *new_text)
{
	char *backup = ap_path(a, AP_BACKUP);
	int err;

	if (old->exists)
		err = ap_file_write(backup, old->data, old->len, old->mode);
	else
		err = ap_file_remove(backup);
	free(backup);
	return err ? err : ap_restore(a, new_text);
}
