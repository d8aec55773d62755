/* SPDX-License-Identifier: MIT
 *
 * check.h - the part of the Check library's interface that tests/unit uses, in a header: Debian
 * packages Check for foreign architectures only as their native library, and for musl not at all.
 * build-aux/cross puts this directory into the include path in its place.  Each test runs in a
 * forked child with a time limit; one TAP row each, worded as Check words it.
 */
#ifndef TESTS_CROSS_CHECK_H
#define TESTS_CROSS_CHECK_H

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
	const char *name;
	void (*fn)(int);
} TTest;

#define START_TEST(id) \
	static void id##_fn(int _i); \
	static const TTest id##_test = { #id, id##_fn }; \
	static const TTest *const id = &id##_test; \
	static void id##_fn(int _i __attribute__((unused)))
#define END_TEST

/* Four times what the largest program has; more aborts. */
#define CHECK_ROWS 64

/* One test, or a loop of them. */
struct check_row {
	const TTest *test;
	int from, to;
};

typedef struct {
	const char *name;
	unsigned timeout, nrows;
	struct check_row rows[CHECK_ROWS];
} TCase;

typedef struct {
	const char *name;
	unsigned ncases;
	TCase *cases[CHECK_ROWS];
} Suite;

typedef struct {
	Suite *suite;
	int failed;
} SRunner;

enum print_output { CK_SILENT };

/* Where a failing child tells why. */
static int check_report = STDERR_FILENO;

/* Static functions that no program need use all of. */
#define CHECK_FN static __attribute__((unused))

CHECK_FN void *check_new(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL)
		abort();
	return p;
}

CHECK_FN Suite *suite_create(const char *name)
{
	Suite *s = check_new(sizeof *s);

	s->name = name;
	return s;
}

CHECK_FN TCase *tcase_create(const char *name)
{
	TCase *tc = check_new(sizeof *tc);

	tc->name = name;
	tc->timeout = 4; /* as Check's manual says */
	return tc;
}

CHECK_FN void suite_add_tcase(Suite *s, TCase *tc)
{
	if (s->ncases == CHECK_ROWS)
		abort();
	s->cases[s->ncases++] = tc;
}

CHECK_FN void tcase_set_timeout(TCase *tc, double seconds)
{
	/* Under an emulator everything takes longer; the script says how much. */
	const char *factor = getenv("CK_TIMEOUT_MULTIPLIER");

	tc->timeout = (unsigned)(seconds * (factor ? atof(factor) : 1));
}

CHECK_FN void tcase_add_loop_test(TCase *tc, const TTest *test, int from, int to)
{
	if (tc->nrows == CHECK_ROWS)
		abort();
	tc->rows[tc->nrows++] = (struct check_row){ test, from, to };
}

CHECK_FN void tcase_add_test(TCase *tc, const TTest *test)
{
	tcase_add_loop_test(tc, test, 0, 1);
}

/* ---- assertions ---------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4), noreturn))
CHECK_FN void check_fail(const char *file, int line, const char *format, ...)
{
	char text[800];
	int n = snprintf(text, sizeof text, "%s:%d: ", file, line);
	va_list ap;

	va_start(ap, format);
	n += vsnprintf(text + n, sizeof text - (size_t)n, format, ap);
	va_end(ap);
	if (n >= (int)sizeof text)
		n = sizeof text - 1;
	if (write(check_report, text, (size_t)n) != n)
		abort();
	_exit(1);
}

#define ck_abort_msg(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(e, ...) \
	do { \
		if (!(e)) \
			check_fail(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)
#define ck_assert(e) ck_assert_msg(e, "%s", #e)

/* X OP Y as TYPE, both values shown. */
#define CHECK_COMPARE(type, format, x, op, y) \
	do { \
		type x_ = (type)(x); \
		type y_ = (type)(y); \
		ck_assert_msg(x_ op y_, "%s %s %s: %" format ", %" format, #x, #op, #y, x_, y_); \
	} while (0)
#define ck_assert_int_eq(x, y) CHECK_COMPARE(intmax_t, PRIdMAX, x, ==, y)
#define ck_assert_int_ne(x, y) CHECK_COMPARE(intmax_t, PRIdMAX, x, !=, y)
#define ck_assert_int_ge(x, y) CHECK_COMPARE(intmax_t, PRIdMAX, x, >=, y)
#define ck_assert_int_gt(x, y) CHECK_COMPARE(intmax_t, PRIdMAX, x, >, y)
#define ck_assert_int_le(x, y) CHECK_COMPARE(intmax_t, PRIdMAX, x, <=, y)
#define ck_assert_int_lt(x, y) CHECK_COMPARE(intmax_t, PRIdMAX, x, <, y)
#define ck_assert_uint_eq(x, y) CHECK_COMPARE(uintmax_t, PRIuMAX, x, ==, y)
#define ck_assert_uint_ne(x, y) CHECK_COMPARE(uintmax_t, PRIuMAX, x, !=, y)
#define ck_assert_uint_ge(x, y) CHECK_COMPARE(uintmax_t, PRIuMAX, x, >=, y)
#define ck_assert_uint_gt(x, y) CHECK_COMPARE(uintmax_t, PRIuMAX, x, >, y)
#define ck_assert_uint_le(x, y) CHECK_COMPARE(uintmax_t, PRIuMAX, x, <=, y)
#define ck_assert_uint_lt(x, y) CHECK_COMPARE(uintmax_t, PRIuMAX, x, <, y)
#define ck_assert_ptr_eq(x, y) CHECK_COMPARE(const void *, "p", x, ==, y)
#define ck_assert_ptr_ne(x, y) CHECK_COMPARE(const void *, "p", x, !=, y)
#define ck_assert_ptr_null(x) ck_assert_msg((x) == NULL, "%s is not NULL", #x)
#define ck_assert_ptr_nonnull(x) ck_assert_msg((x) != NULL, "%s is NULL", #x)
#define ck_assert_str_eq(x, y) \
	ck_assert_msg(strcmp(x, y) == 0, "%s == %s: \"%s\", \"%s\"", #x, #y, x, y)

/* A program that dies under qemu leaves a line of qemu's on its stderr: the tests, which look at the
 * rest, do not read it. */
CHECK_FN ssize_t check_read(int fd, void *p, size_t size)
{
	static const char remark[] = "qemu: uncaught target signal";
	ssize_t n = read(fd, p, size);
	char *at = n > 0 ? memmem(p, (size_t)n, remark, sizeof remark - 1) : NULL;

	return at != NULL ? at - (char *)p : n;
}
#define read(fd, p, size) check_read(fd, p, size)

/* ---- running ------------------------------------------------------------------------------- */

CHECK_FN SRunner *srunner_create(Suite *s)
{
	SRunner *sr = check_new(sizeof *sr);

	sr->suite = s;
	return sr;
}

CHECK_FN void srunner_set_tap(SRunner *sr, const char *file)
{
	(void)sr;
	(void)file; /* always "-" */
}

/* Runs one test in a child.  TEXT gets the reason of a failure; returns the wait status. */
CHECK_FN int check_run(const TTest *test, int i, unsigned timeout, char *text, size_t size)
{
	int fd[2], status;
	size_t at = 0;
	ssize_t n;
	pid_t pid;

	fflush(NULL);
	if (pipe(fd) != 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		close(fd[0]);
		check_report = fd[1];
		alarm(timeout);
		test->fn(i);
		_exit(0);
	}
	close(fd[1]);
	/* The child's exit, not the end of the pipe: a grandchild may outlive it and hold the pipe.
	 * Reasons are far shorter than a pipe. */
	if (waitpid(pid, &status, 0) != pid)
		abort();
	if (status != 0 && WIFEXITED(status))
		while (at + 1 < size && (n = read(fd[0], text + at, size - 1 - at)) > 0)
			at += (size_t)n;
	close(fd[0]);
	text[at] = '\0';
	return status;
}

CHECK_FN void check_row(SRunner *sr, const TCase *tc, const TTest *test, int i, int number)
{
	char text[1000];
	int status = check_run(test, i, tc->timeout, text, sizeof text);

	printf("%sok %d - %s:%s:%s:%d: ", status == 0 ? "" : "not ", number, sr->suite->name,
	       tc->name, test->name, i);
	if (status == 0)
		puts("Passed");
	else if (WIFSIGNALED(status))
		printf("killed by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		puts(text);
	if (status != 0)
		sr->failed++;
}

CHECK_FN void srunner_run_all(SRunner *sr, enum print_output mode)
{
	int number = 0;

	(void)mode;
	for (unsigned c = 0; c < sr->suite->ncases; c++) {
		const TCase *tc = sr->suite->cases[c];

		for (unsigned r = 0; r < tc->nrows; r++)
			for (int i = tc->rows[r].from; i < tc->rows[r].to; i++)
				check_row(sr, tc, tc->rows[r].test, i, ++number);
	}
	printf("1..%d\n", number);
}

CHECK_FN int srunner_ntests_failed(SRunner *sr)
{
	return sr->failed;
}

CHECK_FN void srunner_free(SRunner *sr)
{
	for (unsigned c = 0; c < sr->suite->ncases; c++)
		free(sr->suite->cases[c]);
	free(sr->suite);
	free(sr);
}

#endif
