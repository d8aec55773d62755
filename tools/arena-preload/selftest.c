/* SPDX-License-Identifier: MIT
 *
 * arena-preload: the self-tests.
 *
 * Real programs must exit as they do without the library and must not let ld.so
 * complain; the check program proves in addition that the library serves malloc.
 * Three settings: LD_PRELOAD (nothing changed), a private /etc (reaches setuid
 * programs), and plainly after the change.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum setting { WITHOUT, BY_ENV, BY_FILE };

/* 65534: "nobody" on every distribution; NSS cannot be asked from a static program. */
enum { NOBODY = 65534 };
enum { MAX_ARGS = 6 };
#define SETUID_COPY "arena-preload-check"

struct program {
	const char *argv[MAX_ARGS];
	bool as_nobody;
};

/*
 * What must not break: the shell, package management, the service manager, a way
 * in (sshd, sudo, su) and the languages they are written in.  php loads with
 * RTLD_DEEPBIND; su and mount are setuid, hence also tried by an ordinary user.
 */
static const struct program programs[] = {
	{ .argv = { "/bin/true" } },
	{ .argv = { "/bin/sh", "-c", "x=$(echo 1) && [ \"$x\" = 1 ]" } },
	{ .argv = { "/bin/bash", "-c", "x=$(echo 1) && [ \"$x\" = 1 ]" } },
	{ .argv = { "/bin/ls", "/" } },
	{ .argv = { "/usr/bin/dpkg", "--version" } },
	{ .argv = { "/usr/bin/apt-get", "--version" } },
	{ .argv = { "/usr/bin/perl", "-e", "my %h = map { $_ => 'x' x $_ } 1..2000;" } },
	{ .argv = { "/usr/bin/python3", "-c", "d = {i: 'x' * i for i in range(2000)}" } },
	{ .argv = { "/bin/systemctl", "--version" } },
	{ .argv = { "/usr/bin/systemd-analyze", "verify", "multi-user.target" } },
	{ .argv = { "/lib/systemd/systemd", "--version" } },
	{ .argv = { "/lib/systemd/systemd-udevd", "--version" } },
	{ .argv = { "/usr/bin/dbus-daemon", "--version" } },
	{ .argv = { "/usr/sbin/sshd", "-t" } },
	{ .argv = { "/usr/bin/ssh", "-V" } },
	{ .argv = { "/usr/bin/sudo", "-V" } },
	{ .argv = { "/usr/bin/sudo", "-V" }, .as_nobody = true },
	{ .argv = { "/bin/su", "--version" }, .as_nobody = true },
	{ .argv = { "/bin/mount", "--version" }, .as_nobody = true },
	{ .argv = { "/sbin/agetty", "--version" } },
	{ .argv = { "/usr/bin/php", "-m" } },
	{ .argv = { "/usr/bin/man", "-w", "ls" } },
	{ .argv = { "/usr/bin/git", "--version" } },
	{ .argv = { "/usr/bin/gdb", "--version" } },
};
enum { NPROGRAMS = sizeof(programs) / sizeof(*programs) };

static const char *const checks[] = {
	"family", "threads", "fork", "deepbind", "rlimits", "seccomp",
};
enum { NCHECKS = sizeof(checks) / sizeof(*checks) };

struct outcome {
	bool ran, timed_out, ld_so;
	int status;
	char first_line[160];
};

static void exec_child(const struct ap *a, const struct program *p, enum setting setting, int err_fd)
{
	static const struct rlimit no_core;
	char *preload = ap_format("LD_PRELOAD=%s", a->entry);
	char *env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", "TERM=dumb",
			setting == BY_ENV ? preload : NULL, NULL };
	int null;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setrlimit(RLIMIT_CORE, &no_core);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(err_fd, 2) < 0)
		_exit(126);
	if (*a->root && chroot(a->root) != 0)
		_exit(126);
	if (chdir("/") != 0)
		_exit(126);
	if (p->as_nobody && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
		_exit(126);
	execve(p->argv[0], (char *const *)p->argv, env);
	_exit(127);
}

/* Wait for pid, at most AP_TEST_SECONDS; SIGCHLD is blocked by the caller. */
static void wait_child(pid_t pid, const sigset_t *chld, struct outcome *o)
{
	struct timespec now, end;
	pid_t got;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += AP_TEST_SECONDS;
	while ((got = waitpid(pid, &o->status, WNOHANG)) == 0) {
		struct timespec left = { 1, 0 };	/* looks again in case a signal merged */

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end.tv_sec) {
			o->timed_out = true;
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			got = waitpid(pid, &o->status, 0);
			break;
		}
		sigtimedwait(chld, NULL, &left);
	}
	o->ran = got == pid;
}

static void read_stderr(int fd, struct outcome *o)
{
	/* 64 KiB: ld.so complains first of all, whatever the program adds later. */
	static char buf[65537];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);
	char *hit;

	buf[n > 0 ? n : 0] = '\0';
	hit = strstr(buf, "ld.so");
	o->ld_so = hit != NULL;
	while (hit && hit > buf && hit[-1] != '\n')
		hit--;
	snprintf(o->first_line, sizeof(o->first_line), "%.*s", (int)sizeof(o->first_line) - 1,
		 hit ? hit : buf);
	o->first_line[strcspn(o->first_line, "\n")] = '\0';
}

static void run_one(const struct ap *a, const struct program *p, enum setting setting,
		    struct outcome *o)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC);
	sigset_t chld, before;
	pid_t pid;

	*o = (struct outcome){ .ran = false };
	if (fd < 0)
		return;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &before);
	pid = fork();
	if (pid == 0)
		exec_child(a, p, setting, fd);
	if (pid > 0) {
		wait_child(pid, &chld, o);
		read_stderr(fd, o);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fd);
}

static void describe(const struct outcome *o, char *buf, size_t size)
{
	if (!o->ran)
		snprintf(buf, size, "could not be started");
	else if (o->timed_out)
		snprintf(buf, size, "did not end in %d s", AP_TEST_SECONDS);
	else if (WIFSIGNALED(o->status))
		snprintf(buf, size, "killed by signal %d", WTERMSIG(o->status));
	else
		snprintf(buf, size, "exit status %d", WEXITSTATUS(o->status));
}

static bool judge(const struct ap *a, const struct program *p, const struct outcome *base,
		  const struct outcome *o)
{
	char is[64], was[64];
	bool good = o->ran && !o->timed_out && !o->ld_so && o->status == base->status;

	describe(o, is, sizeof(is));
	describe(base, was, sizeof(was));
	if (!good)
		ap_warn("self-test: %s %s%s: %s, without the library %s%s%s", p->argv[0],
			p->argv[1] ? p->argv[1] : "", p->as_nobody ? " (as nobody)" : "", is, was,
			*o->first_line ? ": " : "", o->first_line);
	else if (a->verbose)
		ap_say("  ok %s %s%s (%s)", p->argv[0], p->argv[1] ? p->argv[1] : "",
		       p->as_nobody ? " (as nobody)" : "", is);
	return good;
}

static unsigned run_checks(const struct ap *a, enum setting setting, bool setuid_too)
{
	static const struct outcome want = { .ran = true };
	char *lib = ap_native_library(a);
	unsigned failed = 0;
	struct outcome o;

	for (size_t i = 0; i < NCHECKS; i++) {
		struct program p = { .argv = { AP_CHECK, checks[i], lib } };

		run_one(a, &p, setting, &o);
		failed += !judge(a, &p, &want, &o);
	}
	if (setuid_too) {
		struct program p = { .argv = { "/etc/" SETUID_COPY, "setuid", lib }, .as_nobody = true };

		/* Mode 0600: ld.so asks access(2), by the real uid, so only root's own
		 * programs are served; the copy must run undisturbed all the same. */
		if (a->root_only)
			p.argv[1] = "unserved";
		run_one(a, &p, setting, &o);
		failed += !judge(a, &p, &want, &o);
	}
	free(lib);
	return failed;
}

/* What each program does today; kept for the tests after the change. */
static struct outcome baseline[NPROGRAMS];
static bool have_baseline;
static unsigned programs_run;	/* in the setting being tested */

static unsigned take_baseline(const struct ap *a)
{
	unsigned bad = 0;

	for (size_t i = 0; i < NPROGRAMS && !have_baseline; i++) {
		if (!ap_exists(a, programs[i].argv[0]))
			continue;
		run_one(a, &programs[i], WITHOUT, &baseline[i]);
		if (!baseline[i].ran || baseline[i].timed_out || baseline[i].ld_so) {
			char is[64];

			describe(&baseline[i], is, sizeof(is));
			ap_warn("self-test: without any change %s %s: %s", programs[i].argv[0], is,
				baseline[i].first_line);
			bad++;
		}
	}
	have_baseline = true;
	return bad;
}

static unsigned run_all(const struct ap *a, enum setting setting, bool setuid_too)
{
	unsigned failed = run_checks(a, setting, setuid_too);
	struct outcome o;

	programs_run = 0;
	for (size_t i = 0; i < NPROGRAMS; i++) {
		/* LD_PRELOAD of a setuid program is ignored: nothing to learn */
		if (!baseline[i].ran || (setting == BY_ENV && programs[i].as_nobody))
			continue;
		run_one(a, &programs[i], setting, &o);
		failed += !judge(a, &programs[i], &baseline[i], &o);
		programs_run++;
	}
	return failed;
}

static int result(const char *what, unsigned failed)
{
	if (failed) {
		ap_warn("self-test (%s): %u failed", what, failed);
		return EIO;
	}
	ap_say("self-test (%s): %d checks and %u programs as they should be", what, NCHECKS,
	       programs_run);
	return 0;
}

int ap_selftest_env(const struct ap *a)
{
	unsigned bad = take_baseline(a);

	return result("LD_PRELOAD", bad ? bad : run_all(a, BY_ENV, false));
}

int ap_selftest_plain(const struct ap *a)
{
	return result("in place", run_all(a, BY_FILE, false));
}

int ap_selftest_file(const struct ap *a, const struct ap_text *new_text)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int err;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		err = ap_private_etc(a, new_text, SETUID_COPY);
		if (err)
			ap_warn_errno(err, "self-test: no private mount namespace (%s/ must be a mount point)",
				      a->root);
		if (!err)
			err = result("private /etc", run_all(a, BY_FILE, true));
		fflush(NULL);
		_exit(err != 0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return pid > 0 && status == 0 ? 0 : EIO;
}
