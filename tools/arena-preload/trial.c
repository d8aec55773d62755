/* SPDX-License-Identifier: MIT
 *
 * arena-preload: the trial, from enable until confirm.
 *
 * Nothing is written to the disk: the new file lies in /run and is bind-mounted over
 * /etc/ld.so.preload, so any reboot ends the trial, by a panic of PID 1 too.  The
 * runner (a late unit under systemd, a daemon elsewhere) makes the mount and is the
 * watchdog: past the deadline it takes the mount away, and needs no exec to do so.
 * A record in /var tells afterwards, and after a reboot, of a trial nobody confirmed.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long long boot_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

static void read_boot_id(char id[40])
{
	struct ap_text t;

	snprintf(id, 40, "unknown");
	if (ap_file_read("/proc/sys/kernel/random/boot_id", &t) == 0 && t.len >= 36)
		snprintf(id, 40, "%.36s", t.data);
	ap_text_free(&t);
}

/* The state file: "BOOT-ID DEADLINE MADE-FILE\n". */
bool ap_trial_active(const struct ap *a, struct ap_trial *t)
{
	char *path = ap_path(a, AP_TRIAL_STATE), line[128], id[40];
	struct ap_text text;
	int made = 0;
	bool active = ap_file_read(path, &text) == 0 && text.exists;

	*t = (struct ap_trial){ .deadline = 0 };
	if (active) {
		snprintf(line, sizeof(line), "%.*s", (int)text.len, text.data);
		read_boot_id(id);
		active = sscanf(line, "%39s %lld %d", t->token, &t->deadline, &made) == 3 &&
			 strcmp(t->token, id) == 0;
		t->made_file = made;
	}
	ap_text_free(&text);
	free(path);
	return active;
}

/* Is the file in /run what one sees at /etc/ld.so.preload? */
bool ap_trial_mounted(const struct ap *a)
{
	char *run = ap_path(a, AP_TRIAL_FILE), *file = ap_path(a, AP_FILE);
	struct stat x, y;
	bool yes = lstat(run, &x) == 0 && lstat(file, &y) == 0 && x.st_dev == y.st_dev &&
		   x.st_ino == y.st_ino;

	free(run);
	free(file);
	return yes;
}

static int make_mount_point(const char *file, bool *made)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	*made = fd >= 0;
	if (fd < 0)
		return errno == EEXIST ? 0 : errno;
	/* Empty says the same to ld.so as absent. */
	close(fd);
	return 0;
}

static int write_state(const struct ap *a, bool made)
{
	char *path = ap_path(a, AP_TRIAL_STATE), *record = ap_path(a, AP_RECORD);
	char id[40], date[32], line[128];
	time_t now = time(NULL);
	int err, n;

	read_boot_id(id);
	n = snprintf(line, sizeof(line), "%s %lld %d\n", id,
		     boot_seconds() + a->seconds, made);
	err = ap_file_write(path, line, (size_t)n, 0600);
	strftime(date, sizeof(date), "%F %T UTC", gmtime(&now));
	n = snprintf(line, sizeof(line), "%s\n", date);
	if (!err)
		err = ap_make_dirs(record);
	if (!err)
		err = ap_file_write(record, line, (size_t)n, 0644);
	free(path);
	free(record);
	return err;
}

static int spawn_daemon(struct ap *a)
{
	int null;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid > 0)
		return 0;
	setsid();
	if (fork() != 0)
		_exit(0);
	ap_unlock(a);
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	if (chdir("/") != 0)
		_exit(1);
	_exit(ap_trial_runner(a));
}

static int start_runner(const struct ap *a)
{
	char *const systemctl[] = { "/bin/systemctl", "start", AP_TRIAL_UNIT, NULL };
	struct ap copy = *a;

	if (ap_systemd_booted(a))
		return ap_run_quiet(a, systemctl) == 0 ? 0 : EIO;
	return spawn_daemon(&copy);
}

int ap_trial_start(const struct ap *a, const struct ap_text *new_text)
{
	char *run = ap_path(a, AP_TRIAL_FILE), *file = ap_path(a, AP_FILE);
	const struct timespec step = { 0, 20000000 };
	bool made = false;
	int err = ap_file_write(run, new_text->data, new_text->len, new_text->mode);

	if (!err)
		err = make_mount_point(file, &made);
	if (!err)
		err = write_state(a, made);
	if (!err)
		err = start_runner(a);
	/* 10 s: a service manager that takes longer to start one program is not well */
	for (int i = 0; !err && i < 500 && !ap_trial_mounted(a); i++)
		nanosleep(&step, NULL);
	if (!err && !ap_trial_mounted(a))
		err = ETIMEDOUT;
	if (err) {
		ap_warn_errno(err, "the trial did not start");
		ap_trial_end(a);
	}
	free(run);
	free(file);
	return err;
}

static void remove_quick(const struct ap *a, const char *name)
{
	char *path = ap_path(a, name);

	if (unlink(path) != 0 && errno != ENOENT)
		ap_warn_errno(errno, "%s", path);
	free(path);
}

/* Somebody decided: the record of the trial is not needed any more. */
void ap_trial_forget(const struct ap *a)
{
	remove_quick(a, AP_RECORD);
}

/* The runner sees it and goes; mounts and the record stay. */
void ap_trial_clear(const struct ap *a)
{
	remove_quick(a, AP_TRIAL_STATE);
	remove_quick(a, AP_TRIAL_FILE);
}

/* Everything as before the trial; harmless if there is none.  Under the lock. */
int ap_trial_end(const struct ap *a)
{
	char *file = ap_path(a, AP_FILE);
	struct ap_trial t;
	struct ap_text text;
	int err = 0;

	ap_trial_active(a, &t);
	/* MNT_DETACH: a program being started may have the file open at this moment */
	while (!err && ap_trial_mounted(a))
		if (umount2(file, MNT_DETACH) != 0)
			err = errno;
	if (err)
		ap_warn_errno(err, "cannot unmount %s", file);
	if (!err && t.made_file && ap_file_read(file, &text) == 0) {
		if (text.exists && text.len == 0)
			ap_file_remove(file);
		ap_text_free(&text);
	}
	if (!err)
		ap_trial_clear(a);
	free(file);
	return err;
}

/* ExecStopPost of the unit: also after the runner was killed. */
int ap_cmd_trial_end(struct ap *a)
{
	return ap_lock(a) != 0 || ap_trial_end(a) != 0;
}

/*
 * Lets this process see, and replace, the file below the mount: in a namespace of
 * its own without the mount.  The rename takes the mount away everywhere else
 * at the same instant (the kernel detaches what is mounted on a replaced name).
 */
int ap_trial_uncover(const struct ap *a)
{
	char *file = ap_path(a, AP_FILE);
	int err = 0;

	if (ap_trial_mounted(a))
		err = ap_private_mounts();
	while (!err && ap_trial_mounted(a))
		if (umount2(file, MNT_DETACH) != 0)
			err = errno;
	if (err)
		ap_warn_errno(err, "cannot reach %s below the trial's mount", file);
	free(file);
	return err;
}

static volatile sig_atomic_t told_to_stop;

static void note_signal(int sig)
{
	(void)sig;
	told_to_stop = 1;
}

/* Mounts, then watches over the trial until it ends in one way or another. */
int ap_trial_runner(struct ap *a)
{
	const struct sigaction act = { .sa_handler = note_signal };
	char *run = ap_path(a, AP_TRIAL_FILE), *file = ap_path(a, AP_FILE);
	const struct timespec second = { 1, 0 };
	struct ap_trial mine, now;
	int err = 0;

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	signal(SIGHUP, SIG_IGN);
	if (!ap_trial_active(a, &mine)) {
		ap_warn("there is no trial to run");
		err = ESRCH;
	} else if (mount(run, file, NULL, MS_BIND, NULL) != 0) {
		err = errno;
		ap_warn_errno(err, "mount %s", file);
	}
	while (!err && ap_trial_active(a, &now) && now.deadline == mine.deadline) {
		if (told_to_stop || boot_seconds() >= mine.deadline) {
			/* Without the lock it is still right to go back: better twice than never.
			 * confirm may have come first, while we waited for it. */
			ap_lock(a);
			if (ap_trial_active(a, &now) && now.deadline == mine.deadline)
				err = ap_trial_end(a);
			ap_unlock(a);
			break;
		}
		nanosleep(&second, NULL);
	}
	free(run);
	free(file);
	return err ? 1 : 0;
}

/* A record without a trial: the deadline or a reboot came before confirm. */
bool ap_trial_record(const struct ap *a, char *when, size_t size)
{
	char *path = ap_path(a, AP_RECORD);
	struct ap_text t;
	struct ap_trial trial;
	bool unconfirmed = ap_file_read(path, &t) == 0 && t.exists && !ap_trial_active(a, &trial);

	if (unconfirmed)
		snprintf(when, size, "%.*s", (int)(t.len ? t.len - 1 : 0), t.data);
	ap_text_free(&t);
	free(path);
	return unconfirmed;
}
