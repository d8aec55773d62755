/* SPDX-License-Identifier: MIT
 *
 * arena-preload: less than everything, and exceptions: one systemd unit, one
 * user's sessions, one command without.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define DROPIN "50-arena-preload.conf"
#define DROPIN_ON "# Written by arena-preload(8): this unit runs with libarena.\n" \
		  "[Service]\n" \
		  "Environment=\"LD_PRELOAD=%s\"\n"
/* The manager mounts before it executes the unit's program: ld.so sees /dev/null. */
#define DROPIN_OFF "# Written by arena-preload(8): this unit runs without preloaded libraries.\n" \
		   "[Service]\n" \
		   "BindReadOnlyPaths=/dev/null:" AP_FILE "\n" \
		   "UnsetEnvironment=LD_PRELOAD\n"

static int write_or_remove(const char *path, const char *text)
{
	int err;

	if (text) {
		err = ap_make_dirs(path);
		if (!err)
			err = ap_file_write(path, text, strlen(text), 0644);
	} else {
		err = ap_file_remove(path);
		if (err == ENOENT)
			err = 0;
	}
	if (err)
		ap_warn_errno(err, "%s", path);
	return err ? 1 : 0;
}

static void reload_manager(const struct ap *a)
{
	char *const argv[] = { "/bin/systemctl", "daemon-reload", NULL };

	if (ap_systemd_booted(a) && ap_run_quiet(a, argv) != 0)
		ap_warn("systemctl daemon-reload failed");
}

int ap_cmd_unit(struct ap *a, const char *name, const char *what)
{
	char *path, *text = NULL;
	int status;

	if (!*name || strchr(name, '/') || name[0] == '.') {
		ap_warn("%s is not the name of a unit", name);
		return 2;
	}
	if (strcmp(what, "on") == 0) {
		char *lib = ap_native_library(a), *full = ap_format("%s%s", a->root, lib ? lib : a->entry);

		status = access(full, R_OK);
		if (status != 0)
			ap_warn_errno(errno, "%s", full);
		free(full);
		free(lib);
		if (status != 0)
			return 1;
		text = ap_format(DROPIN_ON, a->entry);
	} else if (strcmp(what, "off") == 0) {
		text = ap_format(DROPIN_OFF);
	} else if (strcmp(what, "default") != 0) {
		ap_warn("unit takes on, off or default, not %s", what);
		return 2;
	}
	path = ap_format("%s/etc/systemd/system/%s%s.d/" DROPIN, a->root, name,
			 strchr(name, '.') ? "" : ".service");
	status = write_or_remove(path, text);
	if (!text) {
		*strrchr(path, '/') = '\0';
		rmdir(path);	/* stays if the administrator has files there too */
	}
	if (status == 0) {
		reload_manager(a);
		ap_say("%s: %s, from its next start", name, what);
	}
	free(text);
	free(path);
	return status;
}

/* The library leaves: units that ask for it by LD_PRELOAD would complain. */
void ap_units_clean(const struct ap *a)
{
	char *pattern = ap_path(a, "/etc/systemd/system/*.d/" DROPIN);
	bool changed = false;
	glob_t g;

	if (glob(pattern, GLOB_NOSORT, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++) {
			struct ap_text t;

			if (ap_file_read(g.gl_pathv[i], &t) == 0 && t.len &&
			    memmem(t.data, t.len, "LD_PRELOAD=/", strlen("LD_PRELOAD=/"))) {
				ap_say("removing %s", g.gl_pathv[i]);
				write_or_remove(g.gl_pathv[i], NULL);
				changed = true;
			}
			ap_text_free(&t);
		}
		globfree(&g);
	}
	free(pattern);
	if (changed)
		reload_manager(a);
}

int ap_cmd_user(struct ap *a, const char *what)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	const char *lib = strchr(a->entry, '$');
	char *path, *text = NULL;
	int status;

	if ((!config || *config != '/') && (!home || *home != '/')) {
		ap_warn("HOME is not set");
		return 1;
	}
	if (strcmp(what, "on") == 0) {
		/* environment.d expands $NAME; "$$LIB" comes out as "$LIB" */
		text = lib ? ap_format("LD_PRELOAD=%.*s$%s${LD_PRELOAD:+:$LD_PRELOAD}\n",
				       (int)(lib - a->entry), a->entry, lib)
			   : ap_format("LD_PRELOAD=%s${LD_PRELOAD:+:$LD_PRELOAD}\n", a->entry);
	} else if (strcmp(what, "off") != 0) {
		ap_warn("user takes on or off, not %s", what);
		return 2;
	}
	path = config && *config == '/'
		? ap_format("%s%s/environment.d/" DROPIN, a->root, config)
		: ap_format("%s%s/.config/environment.d/" DROPIN, a->root, home);
	status = write_or_remove(path, text);
	if (status == 0)
		ap_say("%s: %s, from the next login", path, what);
	free(text);
	free(path);
	return status;
}

static int write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* An ordinary user may mount in a user namespace in which it stays who it is. */
static int enter_user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char *uids = ap_format("%u %u 1", uid, uid), *gids = ap_format("%u %u 1", gid, gid);
	int err = unshare(CLONE_NEWUSER) == 0 ? 0 : errno;

	if (!err)
		err = write_proc("/proc/self/uid_map", uids);
	if (!err)
		err = write_proc("/proc/self/setgroups", "deny");
	if (!err)
		err = write_proc("/proc/self/gid_map", gids);
	free(uids);
	free(gids);
	return err;
}

/* env(1)'s exit statuses: 125 our failure, 126 not executable, 127 not found. */
int ap_cmd_run_without(struct ap *a, char *const argv[])
{
	struct ap_text none;
	int err = 0;

	(void)a;
	if (!argv[0]) {
		ap_warn("run-without needs a command");
		return 125;
	}
	unsetenv("LD_PRELOAD");
	/* nothing to hide: no namespace, so that sudo and its like go on working */
	if (ap_file_read(AP_FILE, &none) != 0 || none.len) {
		if (geteuid() != 0)
			err = enter_user_namespace();
		if (!err)
			err = ap_private_mounts();
		if (!err && mount("/dev/null", AP_FILE, NULL, MS_BIND, NULL) != 0)
			err = errno;
	}
	ap_text_free(&none);
	if (err) {
		ap_warn_errno(err, "cannot hide %s from %s", AP_FILE, argv[0]);
		return 125;
	}
	execvp(argv[0], argv);
	err = errno;
	ap_warn_errno(err, "%s", argv[0]);
	return err == ENOENT ? 127 : 126;
}
