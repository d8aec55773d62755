/* SPDX-License-Identifier: MIT
 *
 * arena-preload: the boot guard, for a library that is on the disk.
 *
 * The initramfs, which has no ld.so.preload, counts every boot before PID 1 starts
 * (boot-count); reaching multi-user.target clears the count (boot-good).  When
 * AP_MAX_FAILED_BOOTS have failed in a row the next one takes our entry away.
 */
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BOOTED_LINK "/multi-user.target.wants/" AP_BOOTED_UNIT
#define HOOK AP_INITRAMFSDIR "/hooks/arena-preload"
#define UPDATE "/usr/sbin/update-initramfs"

bool ap_systemd_booted(const struct ap *a)
{
	return !*a->root && ap_exists(a, "/run/systemd/system");
}

static bool in_container(const struct ap *a)
{
	return ap_exists(a, "/run/systemd/container") || ap_exists(a, "/.dockerenv") ||
	       ap_exists(a, "/run/.containerenv");
}

/* Somebody will clear the count: systemd is init and starts our unit. */
static bool boots_are_cleared(const struct ap *a)
{
	char *init = ap_path(a, "/sbin/init"), target[PATH_MAX];
	ssize_t n = readlink(init, target, sizeof(target) - 1);

	free(init);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strstr(target, "systemd") &&
	       (ap_exists(a, AP_UNITDIR BOOTED_LINK) ||
		ap_exists(a, "/usr/lib/systemd/system" BOOTED_LINK) ||
		ap_exists(a, "/lib/systemd/system" BOOTED_LINK) ||
		ap_exists(a, "/etc/systemd/system" BOOTED_LINK));
}

/*
 * Before the entry goes to the disk of a system that boots by itself: make sure
 * that its initramfs has the hook.  0 where there is nothing to guard.
 */
int ap_guard_arm(const struct ap *a)
{
	char *const update[] = { UPDATE, "-u", NULL };

	if (a->no_guard || *a->root || in_container(a) || !ap_exists(a, "/proc/1/exe") ||
	    (!ap_systemd_booted(a) && access("/run/initctl", F_OK) != 0))
		return 0;
	if (ap_exists(a, AP_GUARD_SEEN) && boots_are_cleared(a))
		return 0;	/* this very boot was counted */
	if (!boots_are_cleared(a) || !ap_exists(a, HOOK) || !ap_exists(a, UPDATE)) {
		ap_warn("refused: no boot guard can work here (it needs systemd and initramfs-tools);"
			" --no-guard goes on without");
		return ENOTSUP;
	}
	ap_say("putting the boot guard into the initramfs");
	if (ap_run_quiet(a, update) != 0) {
		ap_warn("update-initramfs failed");
		return EIO;
	}
	return 0;
}

unsigned ap_guard_failed_boots(const struct ap *a)
{
	char *path = ap_path(a, AP_BOOTS);
	struct ap_text t;
	unsigned n = 0;

	if (ap_file_read(path, &t) == 0 && t.len && t.data[0] >= '0' && t.data[0] <= '9')
		n = (unsigned)(t.data[0] - '0');
	ap_text_free(&t);
	free(path);
	return n;
}

/* The initramfs mounts the root read-only, init expects it so.  True: it was. */
bool ap_make_writable(const struct ap *a)
{
	const char *root = *a->root ? a->root : "/";
	struct statvfs vfs;

	if (statvfs(root, &vfs) != 0 || !(vfs.f_flag & ST_RDONLY))
		return false;
	if (mount(NULL, root, NULL, MS_REMOUNT, NULL) != 0)
		ap_warn_errno(errno, "%s stays read-only", root);
	return true;
}

void ap_make_read_only(const struct ap *a)
{
	const char *root = *a->root ? a->root : "/";

	sync();
	if (mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
		ap_warn_errno(errno, "%s stays writable", root);
}

static int count_boot(struct ap *a)
{
	char *file = ap_path(a, AP_FILE), *boots = ap_path(a, AP_BOOTS), digits[4];
	unsigned failed = ap_guard_failed_boots(a);
	struct ap_text old, rest;
	int err = ap_file_read(file, &old);

	if (!err && ap_edit_has(&old, ap_match_ours, a) && boots_are_cleared(a)) {
		if (failed >= AP_MAX_FAILED_BOOTS) {
			ap_edit_remove(&old, ap_match_ours, a, &rest);
			err = ap_store(a, &old, &rest);
			ap_text_free(&rest);
			if (!err) {
				ap_warn("%u boots did not reach multi-user.target: "
					"libarena is not preloaded any more", failed);
				err = ap_file_remove(boots);
			}
		} else {
			int n = snprintf(digits, sizeof(digits), "%u\n", failed + 1);

			err = ap_file_write(boots, digits, (size_t)n, 0644);
		}
	}
	if (err)
		ap_warn_errno(err, "boot guard: %s", file);
	ap_text_free(&old);
	free(file);
	free(boots);
	return err ? 1 : 0;
}

/* In the initramfs, with --root. */
int ap_cmd_boot_count(struct ap *a)
{
	bool was_read_only;
	int status;

	if (!ap_exists(a, AP_FILE))
		return 0;
	was_read_only = ap_make_writable(a);
	status = count_boot(a);
	if (was_read_only)
		ap_make_read_only(a);
	return status;
}

int ap_cmd_boot_good(struct ap *a)
{
	char *boots = ap_path(a, AP_BOOTS);
	int err = ap_file_remove(boots);

	if (err)
		ap_warn_errno(err, "%s", boots);
	free(boots);
	return err ? 1 : 0;
}
