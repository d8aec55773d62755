/* SPDX-License-Identifier: MIT
 *
 * unit.h - what the unit tests share.  Each program is one Check suite over one or two modules, linked
 * with the core; Check itself uses libc's malloc, so nothing but the test touches ours.  Check forks
 * for each test: every test starts in a process whose heap does not exist yet.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include "compiler.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"
#include "init.h"
#include "pages.h"

/* ck_assert() tells the parent about every line it passes; loops of millions use this. */
#define REQUIRE(e) \
	do { \
		if (unlikely(!(e))) \
			ck_abort_msg("line %d: %s", __LINE__, #e); \
	} while (0)

static inline uint64_t unit_random(uint64_t *state)
{
	/* xorshift64: any start but 0. */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#ifdef __SANITIZE_THREAD__
#define UNIT_TSAN 1
#else
#define UNIT_TSAN 0
#endif

/* A sanitizer's shadow memory is part of the process and never goes back. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_SANITIZED 1
#else
#define UNIT_SANITIZED 0
#endif

/* Whether smaps has FLAG (" nh": declines huge pages, " hg": asks for them) of the mapping of P. */
static inline bool unit_has_flag(const void *p, const char *flag)
{
	char line[512];
	unsigned long from, to;
	bool here = false, has = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag) != NULL;
	}
	fclose(f);
	return has;
}

/* Bytes of the process that are resident; with a sanitizer, what our heap believes. */
static inline size_t unit_resident(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_ptr_nonnull(f);
	if (UNIT_SANITIZED) {
		fclose(f);
		return arn_pages.used + arn_pages.dirty;
	}
	ck_assert_int_eq(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Runs FN(ARG) in a child with stderr in TEXT (at most SIZE - 1 bytes); returns the wait status. */
static inline int unit_child(void (*fn)(void *), void *arg, char *text, size_t size)
{
	int fd[2], status;
	ssize_t n;
	size_t at = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		fn(arg);
		_exit(0);
	}
	close(fd[1]);
	while (at + 1 < size && (n = read(fd[0], text + at, size - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* The child must have died of abort() after exactly one line, "libarena: CRIME: ...". */
#define REQUIRE_CRIME(fn, arg, crime) \
	do { \
		char text_[600]; \
		int status_ = unit_child(fn, arg, text_, sizeof text_); \
		ck_assert_msg(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGABRT, \
			      "status %#x, stderr: %s", status_, text_); \
		ck_assert_msg(strncmp(text_, "libarena: " crime ": ", \
				      strlen("libarena: " crime ": ")) == 0 && \
				      strchr(text_, '\n') == text_ + strlen(text_) - 1, \
			      "stderr: %s", text_); \
	} while (0)

/* A heap that no thread has. */
static inline struct heap *unit_heap(enum heap_kind kind)
{
	struct heap *h;

	ck_assert(arn_boot());
	h = arn_heap_new(kind);
	ck_assert_ptr_nonnull(h);
	return h;
}

/* A program's main: TAP on stdout. */
static inline int unit_run(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}

static inline void unit_add(Suite *s, const char *name, const TTest *test)
{
	TCase *tc = tcase_create(name);

	/* The slowest takes 2 s alone; a machine with a sanitizer and other work 20 times that. */
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test);
	suite_add_tcase(s, tc);
}

#endif
