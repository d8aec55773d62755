/* SPDX-License-Identifier: MIT
 *
 * main.c - the command line of alloc-stats(1).
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "run.h"
#include "show.h"

struct settings {
	bool json, openmetrics, children;
	const char *output, *library;
};

enum { OPT_JSON = 256, OPT_LIBRARY, OPT_CHILDREN };

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"library", required_argument, NULL, OPT_LIBRARY},
	{"children", no_argument, NULL, OPT_CHILDREN},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static const char usage_text[] =
	"usage: alloc-stats [--json] [-o FILE] PID\n"
	"       alloc-stats [--json] [-o FILE] [--library FILE] [--children] -- COMMAND [ARGUMENT...]\n";

static FILE *output_open(const struct settings *o, FILE *otherwise)
{
	FILE *f = o->output != NULL ? fopen(o->output, "we") : otherwise;

	if (f == NULL)
		fatal(EXIT_FAILED, "%s: %s", o->output, strerror(errno));
	return f;
}

static void output_close(const struct settings *o, FILE *f)
{
	if (fflush(f) != 0 || ferror(f) || (o->output != NULL && fclose(f) != 0))
		fatal(EXIT_FAILED, "%s: %s", o->output != NULL ? o->output : "output", strerror(errno));
}

static void show(const struct settings *o, FILE *f, const struct snapshot *s)
{
	if (o->json) {
		struct json_object *j = json_heap(s);

		show_json(f, j);
		json_object_put(j);
	} else {
		show_text(f, s);
	}
}

static int do_pid(const struct settings *o, pid_t pid)
{
	char *error = NULL;
	int status = EXIT_FAILED;
	struct target *t = target_open_pid(pid, &error, &status);
	struct snapshot *s;
	FILE *f;

	if (t == NULL)
		fatal(status, "%s", error);
	s = snapshot_take(t);
	if (s == NULL)
		fatal(t->error_status, "%s [%d]: %s", t->command, pid, t->error);
	f = output_open(o, stdout);
	show(o, f, s);
	output_close(o, f);
	snapshot_free(s);
	target_close(t);
	return 0;
}

static void do_run(const struct settings *o, char *const *argv)
{
	struct run_result r = {0};
	char *library = run_library(o->library);
	FILE *f;

	if (library == NULL)
		exit(EXIT_FAILED);
	run_command(argv, library, o->children, 0.05, &r);
	f = output_open(o, stderr);
	for (size_t i = 0; i < r.n; i++) {
		if (r.process[i].last != NULL)
			show(o, f, r.process[i].last);
		else
			warning("process %d: %s", r.process[i].pid,
				r.process[i].why != NULL ? r.process[i].why : "it was not seen at its end");
	}
	output_close(o, f);
	run_exit_alike(r.wait_status);
}

int main(int argc, char **argv)
{
	struct settings o = {0};
	uint64_t pid;
	int c;

	while ((c = getopt_long(argc, argv, "+o:hV", long_options, NULL)) != -1)
		switch (c) {
		case OPT_JSON:
			o.json = true;
			break;
		case OPT_LIBRARY:
			o.library = optarg;
			break;
		case OPT_CHILDREN:
			o.children = true;
			break;
		case 'o':
			o.output = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			puts("alloc-stats " PACKAGE_VERSION);
			return 0;
		default:
			fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	if (optind < argc && strcmp(argv[optind - 1], "--") == 0)
		do_run(&o, argv + optind);
	if (argc - optind == 1 && parse_number(argv[optind], 1 << 22, &pid) && pid > 0)
		return do_pid(&o, (pid_t)pid);
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}
