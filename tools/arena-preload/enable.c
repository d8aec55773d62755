/* SPDX-License-Identifier: MIT
 *
 * arena-preload: check, enable, confirm, disable, clean.
 *
 * enable = refusals, self-test by LD_PRELOAD, self-test in a private namespace, then
 * a trial (or, with --yes, the disk), self-test again, back on any failure.
 */
#include "preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int read_current(const struct ap *a, struct ap_text *t)
{
	char *path = ap_path(a, AP_FILE);
	int err = ap_file_read(path, t);

	if (err)
		ap_warn_errno(err, "%s", path);
	free(path);
	return err;
}

/* The text with our entry once, where the options want it. */
static void wanted_text(const struct ap *a, const struct ap_text *old, struct ap_text *want)
{
	struct ap_text rest;

	ap_edit_remove(old, ap_match_ours, a, &rest);
	ap_edit_add(&rest, a->entry, a->last, a->root_only ? 0600 : 0644, want);
	ap_text_free(&rest);
}

static bool manager_has_library(const struct ap *a)
{
	char *lib = ap_native_library(a), *line = NULL;
	FILE *f = fopen("/proc/1/maps", "re");
	size_t room = 0;
	bool has = false;

	while (lib && f && !has && getline(&line, &room, f) > 0)
		has = strstr(line, lib) != NULL;
	if (f)
		fclose(f);
	free(line);
	free(lib);
	return has;
}

/*
 * PID 1 keeps its old heap until it executes itself again.  Should it not survive
 * that, the kernel panics: it must then reboot by itself and not wait for somebody
 * at the console, as kernel.panic=0 makes it.
 */
static void reexec_manager(const struct ap *a, bool want)
{
	char *const argv[] = { "/bin/systemctl", "daemon-reexec", NULL };
	static const char panic[] = "/proc/sys/kernel/panic";
	const struct timespec step = { 0, 100000000 };
	bool waits_forever = false;
	char value[16] = "";
	FILE *f;

	if (!ap_systemd_booted(a))
		return;
	f = fopen(panic, "r+e");
	if (f && fgets(value, sizeof(value), f))
		waits_forever = strcmp(value, "0\n") == 0;
	if (waits_forever) {
		rewind(f);
		fputs("10\n", f);	/* seconds: time to read the message on a screen */
		fflush(f);
	}
	if (ap_run_quiet(a, argv) != 0)
		ap_warn("systemctl daemon-reexec failed");
	/* 20 s: thousands of units to write out and read in on a slow machine */
	for (int i = 0; i < 200 && manager_has_library(a) != want; i++)
		nanosleep(&step, NULL);
	if (manager_has_library(a) != want)
		ap_warn("PID 1 changes its malloc at the next boot only");
	if (waits_forever) {
		rewind(f);
		fputs("0\n", f);
	}
	if (f)
		fclose(f);
}

static int test_before(const struct ap *a, const struct ap_text *want)
{
	if (ap_check_refusals(a) != 0)
		return EPERM;
	if (ap_edit_misread(want)) {
		ap_warn("refused: with our line in %s%s, ld.so would take one of its comments for a"
			" library (a fault of glibc); have fewer comments there%s", a->root, AP_FILE,
			a->last ? "" : ", or try --last");
		return EPERM;
	}
	if (ap_selftest_env(a) != 0)
		return EIO;
	return ap_selftest_file(a, want);
}

int ap_cmd_check(struct ap *a)
{
	struct ap_text old, want;
	int err = ap_lock(a);

	if (err || read_current(a, &old) != 0)
		return 1;
	wanted_text(a, &old, &want);
	err = test_before(a, &want);
	if (!err)
		ap_say("%s can be enabled", a->entry);
	ap_text_free(&want);
	ap_text_free(&old);
	return err ? 1 : 0;
}

static int enable_on_disk(const struct ap *a, const struct ap_text *old, const struct ap_text *want)
{
	int err = ap_guard_arm(a), back;

	if (err)
		return err;
	err = ap_cmd_boot_good((struct ap *)a) ? EIO : ap_store(a, old, want);
	if (err)
		ap_warn_errno(err, "%s%s", a->root, AP_FILE);
	else
		err = ap_selftest_plain(a);
	if (err) {
		back = ap_restore(a, old);
		if (back)
			ap_warn_errno(back, "%s%s could not be restored", a->root, AP_FILE);
		else
			ap_warn("%s%s is as it was before", a->root, AP_FILE);
		return err;
	}
	reexec_manager(a, true);
	ap_say("enabled; programs that run already keep their old malloc until they start again");
	return 0;
}

static int enable_on_trial(const struct ap *a, const struct ap_text *want)
{
	int err = ap_guard_arm(a);

	if (!err)
		err = ap_trial_start(a, want);
	if (err)
		return err;
	err = ap_selftest_plain(a);
	if (err) {
		if (ap_trial_end(a) == 0) {
			ap_trial_forget(a);
			ap_warn("the trial is over, everything is as before");
		}
		return err;
	}
	reexec_manager(a, true);
	ap_say("on trial for %u s: \"%s confirm\" keeps it, anything else"
	       " (a reboot too) takes it back", a->seconds, ap_name);
	return 0;
}

int ap_cmd_enable(struct ap *a)
{
	struct ap_text old, want;
	struct ap_trial t;
	int err;

	if (ap_lock(a) != 0)
		return 1;
	if (ap_trial_active(a, &t)) {
		ap_warn("a trial is running: confirm or disable it first");
		return 1;
	}
	if (read_current(a, &old) != 0)
		return 1;
	wanted_text(a, &old, &want);
	if (ap_text_equal(&old, &want)) {
		ap_say("already enabled");
		err = 0;
	} else {
		err = test_before(a, &want);
		/* the image below --root is not running: there is nothing to put on trial */
		if (!err)
			err = a->yes || *a->root ? enable_on_disk(a, &old, &want)
						 : enable_on_trial(a, &want);
	}
	ap_text_free(&want);
	ap_text_free(&old);
	return err ? 1 : 0;
}

int ap_cmd_confirm(struct ap *a)
{
	char *path = ap_path(a, AP_TRIAL_FILE), when[64];
	struct ap_text old, want = { .exists = false };
	struct ap_trial t;
	int err = 1;

	if (ap_lock(a) != 0) {
		free(path);
		return 1;
	}
	if (!ap_trial_active(a, &t) || !ap_trial_mounted(a)) {
		if (ap_trial_record(a, when, sizeof(when)))
			ap_warn("the trial of %s is over (time or a reboot): enable again", when);
		else
			ap_warn("there is no trial to confirm");
	} else {
		err = ap_file_read(path, &want);
		if (!err)
			err = ap_guard_arm(a);
		if (!err)
			err = ap_trial_uncover(a);
		if (!err && read_current(a, &old) == 0) {
			if (t.made_file && old.len == 0)
				old.exists = false;	/* the mount point, not an old file */
			err = ap_cmd_boot_good(a) ? EIO : ap_store(a, &old, &want);
			if (err)
				ap_warn_errno(err, "%s", AP_FILE);
			ap_text_free(&old);
		}
		if (!err) {
			ap_trial_clear(a);
			ap_trial_forget(a);
			ap_say("confirmed: %s is preloaded from now on", a->entry);
		}
	}
	ap_text_free(&want);
	free(path);
	return err ? 1 : 0;
}

static int remove_entries(struct ap *a, ap_match_fn *match, const void *ctx, bool *changed)
{
	struct ap_text old, rest;
	int err = read_current(a, &old);

	*changed = false;
	if (err)
		return err;
	if (ap_edit_has(&old, match, ctx)) {
		ap_edit_remove(&old, match, ctx, &rest);
		err = ap_store(a, &old, &rest);
		if (err)
			ap_warn_errno(err, "%s%s", a->root, AP_FILE);
		ap_text_free(&rest);
		*changed = true;
	}
	ap_text_free(&old);
	return err;
}

int ap_cmd_disable(struct ap *a)
{
	bool was_on_trial, changed;
	struct ap_trial t;

	if (ap_lock(a) != 0)
		return 1;
	was_on_trial = ap_trial_active(a, &t);
	if (ap_trial_end(a) != 0 || remove_entries(a, ap_match_ours, a, &changed) != 0 ||
	    ap_cmd_boot_good(a) != 0)
		return 1;
	ap_trial_forget(a);
	if (changed || was_on_trial) {
		reexec_manager(a, false);
		ap_say("disabled; programs that run already keep the library until they start again");
	} else {
		ap_say("was not enabled");
	}
	return 0;
}

/* An entry that names the file of the architecture that leaves, or every one by $LIB. */
static bool match_leaving(const char *word, size_t len, const void *ctx)
{
	const char *triplet = ctx;
	struct ap a = { .entry = AP_ENTRY };

	return ap_match_ours(word, len, &a) &&
	       (memchr(word, '$', len) || memmem(word, len, triplet, strlen(triplet)));
}

/* For prerm of the library's package: quick, silent if there is nothing to do. */
int ap_cmd_clean(struct ap *a, const char *triplet)
{
	bool changed, was_on_trial;
	struct ap_trial t;

	if (ap_lock(a) != 0)
		return 1;
	was_on_trial = ap_trial_active(a, &t);
	if (was_on_trial && ap_trial_end(a) != 0)
		return 1;
	if (remove_entries(a, match_leaving, triplet, &changed) != 0)
		return 1;
	if (changed || was_on_trial)
		ap_say("libarena was preloaded and is leaving (%s): entry taken out of %s", triplet,
		       AP_FILE);
	ap_units_clean(a);
	return ap_cmd_boot_good(a);
}
