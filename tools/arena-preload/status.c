/* SPDX-License-Identifier: MIT
 *
 * arena-preload: status.  What the file says, what protects it, and which running
 * processes have the library.
 */
#include "preload.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* BESIDE: with ours, which the loader takes first, and a library with another one. */
enum serving { UNKNOWN, NOT_DYNAMIC, WITH, BESIDE, WITHOUT, FOREIGN };

/* A container or chroot has an ld.so.preload of its own. */
static bool has_our_root(const char *pid)
{
	char *path = ap_format("/proc/%s/root", pid);
	struct stat ours, its;
	bool same = stat("/", &ours) == 0 && stat(path, &its) == 0 && ours.st_dev == its.st_dev &&
		    ours.st_ino == its.st_ino;

	free(path);
	return same;
}

/* UNKNOWN: a kernel thread, gone, or not ours to look at. */
static enum serving look_at(const struct ap *a, const char *pid, char *foreign, size_t size)
{
	char *path = ap_format("/proc/%s/maps", pid), *line = NULL;
	bool dynamic = false, ours = false;
	FILE *f = fopen(path, "re");
	size_t room = 0;
	bool any = false;

	*foreign = '\0';
	free(path);
	if (!f)
		return UNKNOWN;
	while (getline(&line, &room, f) > 0) {
		char *name = strchr(line, '/');

		any = true;
		if (!name)
			continue;
		name[strcspn(name, "\n ")] = '\0';
		dynamic |= strstr(name, "/libc.so.6") || strstr(name, "/libc-2.");
		ours |= ap_match_ours(name, strlen(name), a);
		if (ap_foreign_malloc(name))
			snprintf(foreign, size, "%s", name);
	}
	free(line);
	fclose(f);
	if (ours)
		return *foreign ? BESIDE : WITH;
	if (*foreign)
		return FOREIGN;
	return dynamic ? WITHOUT : any ? NOT_DYNAMIC : UNKNOWN;
}

static void name_of(const char *pid, char *name, size_t size)
{
	char *path = ap_format("/proc/%s/comm", pid);
	FILE *f = fopen(path, "re");

	snprintf(name, size, "?");
	if (f) {
		if (fgets(name, (int)size, f))
			name[strcspn(name, "\n")] = '\0';
		fclose(f);
	}
	free(path);
}

static void print_processes(const struct ap *a)
{
	unsigned with = 0, without = 0, static_ones = 0, foreign = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char other[256], comm[32];

		if (!isdigit((unsigned char)*e->d_name) || !has_our_root(e->d_name))
			continue;
		switch (look_at(a, e->d_name, other, sizeof(other))) {
		case WITH:
			with++;
			break;
		case BESIDE:
			with++;
			name_of(e->d_name, comm, sizeof(comm));
			ap_say("  beside another malloc: %s %s (%s)", e->d_name, comm, other);
			break;
		case WITHOUT:
			without++;
			name_of(e->d_name, comm, sizeof(comm));
			ap_say("  without: %s %s", e->d_name, comm);
			break;
		case FOREIGN:
			foreign++;
			name_of(e->d_name, comm, sizeof(comm));
			ap_say("  another malloc: %s %s (%s)", e->d_name, comm, other);
			break;
		case NOT_DYNAMIC:
			static_ones++;
			break;
		case UNKNOWN:
			break;
		}
	}
	if (d)
		closedir(d);
	ap_say("processes: %u with libarena, %u without, %u with another malloc, %u static", with,
	       without, foreign, static_ones);
}

static void print_guard(const struct ap *a)
{
	unsigned failed = ap_guard_failed_boots(a);

	if (!ap_systemd_booted(a))
		ap_say("boot guard: none (not booted by systemd)");
	else
		ap_say("boot guard: %s", ap_exists(a, AP_GUARD_SEEN)
		       ? "in this boot's initramfs" : "not in this boot's initramfs");
	if (failed)
		ap_say("boot guard: %u boot%s not reached multi-user.target yet", failed,
		       failed == 1 ? " has" : "s have");
}

/* 0: enabled or on trial; 1: not; 4: cannot tell. */
int ap_cmd_status(struct ap *a)
{
	char *path = ap_path(a, AP_FILE), when[64];
	struct timespec now;
	struct ap_trial trial;
	struct ap_text t;
	int err = ap_file_read(path, &t);
	bool on = !err && ap_edit_has(&t, ap_match_ours, a);
	const char *word;
	size_t pos = 0, len;

	if (err) {
		ap_warn_errno(err, "%s", path);
		free(path);
		return 4;
	}
	clock_gettime(CLOCK_BOOTTIME, &now);
	if (ap_trial_active(a, &trial))
		ap_say("%s: on trial, ends in %lld s unless confirmed", path,
		       trial.deadline - (long long)now.tv_sec);
	else
		ap_say("%s: libarena is %s%s", path, on ? "enabled" : "not enabled",
		       on && t.mode == 0600 ? " for root only" : "");
	if (ap_trial_record(a, when, sizeof(when)))
		ap_say("the trial of %s was not confirmed (time or a reboot)", when);
	while (ap_edit_next(&t, &pos, &word, &len))
		ap_say("  %.*s", (int)len, word);
	if (on && !*a->root) {
		print_guard(a);
		print_processes(a);
	}
	ap_text_free(&t);
	free(path);
	return on ? 0 : 1;
}
