/* SPDX-License-Identifier: MIT
 *
 * run.h - a command under libarena, watched to its end.
 */
#ifndef STATS_RUN_H
#define STATS_RUN_H

#include <json-c/json.h>

#include "snapshot.h"

struct sample_list {
	struct quick *at;
	size_t n, capacity;
	double spacing;  /* seconds between samples; doubles whenever the list is full */
};

/* What is known of one process at its end. */
struct ended {
	struct snapshot *last;       /* NULL: not readable, `why` says why */
	char *why;
	pid_t pid;
	struct sample_list samples;
};

struct run_result {
	struct ended *process;       /* the command first, then its children */
	size_t n, capacity;
	int wait_status;             /* of the command, as waitpid gives it */
};

/* The library to preload: PATH, $ARENA_LIBRARY, or the one installed with this program.  NULL with
 * a message.  The caller frees it. */
char *run_library(const char *path);

/* Has the command, and its children, record what they ask for: before run_command(). */
void run_exact(void);
/* Runs ARGV with LIBRARY preloaded.  CHILDREN: descendants are read at their end too.
 * Exits when the command cannot be run. */
void run_command(char *const *argv, const char *library, bool children, struct run_result *result);

/* The peak table and the plot of growth. */
void run_show(FILE *f, const struct ended *e);
/* Peak and samples, for the member "run" of a document. */
struct json_object *run_json(const struct ended *e);
bool run_plot_svg(const char *path, const struct ended *e);

/* Ends this program as the command ended. */
void run_exit_alike(int wait_status) __attribute__((noreturn));

#endif
