/* SPDX-License-Identifier: MIT */
/*
 * Runs one command and reports what it used: launch [-w MIB] [-p SO] [-u USER] REPORT COMMAND...
 * A small program of its own, because the kernel counts the RSS of whoever called exec into the
 * peak of the new program: started from python, no peak under 20 MiB could be seen.
 * -w touches memory in another process first (warm), -p preloads, -u changes the user.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pwd.h>
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

static pid_t child;

static void stop(int signal)
{
	if (child > 0)
		kill(child, signal);
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* Hosts take free 2 MiB blocks back; whoever touches them next pays. So touch them here. */
static void warm(size_t mib)
{
	pid_t pid = mib ? fork() : 0;

	if (pid < 0)
		die("fork");
	if (mib && !pid) {
		char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		madvise(p, mib << 20, MADV_HUGEPAGE); /* a wish: whole blocks are the cold ones */
		for (size_t i = 0; i < mib << 20; i += 4096)
			((volatile char *)p)[i] = 1;
		_exit(0);
	}
	if (pid)
		waitpid(pid, NULL, 0);
}

static void become(const char *user)
{
	struct passwd *who = getpwnam(user);

	if (!who || setgroups(0, NULL) || setgid(who->pw_gid) || setuid(who->pw_uid))
		die(user);
}

static double seconds(struct timespec from, struct timespec to)
{
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
}

static void report(const char *path, int status, double wall, const struct rusage *u)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die(path);
	fprintf(f, "{\"status\": %d, \"wall\": %.6f, \"user\": %ld.%06ld, \"sys\": %ld.%06ld, "
		"\"rss\": %ld, \"minflt\": %ld, \"majflt\": %ld, \"nvcsw\": %ld, \"nivcsw\": %ld}\n",
		WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), wall,
		u->ru_utime.tv_sec, u->ru_utime.tv_usec, u->ru_stime.tv_sec, u->ru_stime.tv_usec,
		u->ru_maxrss, u->ru_minflt, u->ru_majflt, u->ru_nvcsw, u->ru_nivcsw);
	if (fclose(f))
		die(path);
}

int main(int argc, char **argv)
{
	const char *preload = NULL, *user = NULL;
	struct timespec from, to;
	struct rusage use;
	size_t warm_mib = 0;
	int status, o;

	while ((o = getopt(argc, argv, "+w:p:u:")) != -1) {
		if (o == 'w')
			warm_mib = strtoul(optarg, NULL, 10);
		else if (o == 'p')
			preload = optarg;
		else if (o == 'u')
			user = optarg;
		else
			return 125;
	}
	if (argc - optind < 2)
		return 125;
	warm(warm_mib);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* nor the runner */
	clock_gettime(CLOCK_MONOTONIC, &from);
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		if (user)
			become(user);
		/* after the change of user, which would clear it: nothing outlives a timeout */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (preload)
			setenv("LD_PRELOAD", preload, 1);
		execvp(argv[optind + 1], argv + optind + 1);
		die(argv[optind + 1]);
	}
	while (wait4(child, &status, 0, &use) < 0)
		if (errno != EINTR)
			die("wait4");
	clock_gettime(CLOCK_MONOTONIC, &to);
	report(argv[optind], status, seconds(from, to), &use);
	return 0;
}
