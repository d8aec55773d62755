/* SPDX-License-Identifier: MIT */
/*
 * What a process pays for its allocator before it has done anything: exec of tiny programs, and
 * the private memory of a program that allocates a few objects.
 */
#include "common.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

/* Starts a program n times, one after the other, with this process's environment. */
static void exec_tiny(void)
{
	size_t n = opt("n", 500);
	const char *program = opt_text("program", "/bin/true");
	char *argv[] = { (char *)program, NULL };
	struct rusage use;
	uint64_t from = now_ns();

	for (size_t i = 0; i < n; i++) {
		int status;
		pid_t pid;

		if ((errno = posix_spawn(&pid, program, NULL, NULL, argv, environ)))
			die(program);
		if (waitpid(pid, &status, 0) != pid || status)
			die("waitpid");
	}
	getrusage(RUSAGE_CHILDREN, &use);
	printf("us_each=%.1f faults_each=%.2f\n", (double)(now_ns() - from) / 1e3 / (double)n,
		(double)use.ru_minflt / (double)n);
}

/* A small program: a line of output's worth of work. */
static void hello(void)
{
	char *p = must(malloc(100));
	char *q = must(strdup("hello"));

	printf("private_kib=%zu\n", footprint().private_kib);
	free(q);
	free(p);
}

int main(int argc, char **argv)
{
	static const struct scenario list[] = {
		{ "exec", exec_tiny }, { "hello", hello }, { NULL, NULL }
	};

	return run_scenario(argc, argv, list);
}
