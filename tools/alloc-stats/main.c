/* SPDX-License-Identifier: MIT
 *
 * main.c - the command line of alloc-stats(1).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "configuration.h"
#include "run.h"
#include "show.h"
#include "top.h"
#include "trim.h"
#include "watch.h"

/* How long --trim waits for an answer. */
#define TRIM_SECONDS 5.0

struct settings {
	bool json, openmetrics, children, batch, trim, now, exact, config;
	const char *output, *library, *plot;
	double interval;      /* --watch, top; 0: not given */
	uint64_t count;
	enum top_key sort;
};

enum {
	OPT_JSON = 256, OPT_OPENMETRICS, OPT_LIBRARY, OPT_CHILDREN, OPT_WATCH, OPT_TRIM, OPT_NOW,
	OPT_PLOT, OPT_EXACT, OPT_CONFIG,
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"openmetrics", no_argument, NULL, OPT_OPENMETRICS},
	{"watch", required_argument, NULL, OPT_WATCH},
	{"count", required_argument, NULL, 'n'},
	{"trim", no_argument, NULL, OPT_TRIM},
	{"now", no_argument, NULL, OPT_NOW},
	{"config", no_argument, NULL, OPT_CONFIG},
	{"library", required_argument, NULL, OPT_LIBRARY},
	{"children", no_argument, NULL, OPT_CHILDREN},
	{"exact", no_argument, NULL, OPT_EXACT},
	{"plot", required_argument, NULL, OPT_PLOT},
	{"output", required_argument, NULL, 'o'},
	{"batch", no_argument, NULL, 'b'},
	{"sort", required_argument, NULL, 's'},
	{"delay", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static const char usage_text[] =
	"usage: alloc-stats [--json | --openmetrics] [-o FILE] PID\n"
	"       alloc-stats --watch SECONDS [-n COUNT] [--json] PID\n"
	"       alloc-stats --trim [--now] PID\n"
	"       alloc-stats --config PID\n"
	"       alloc-stats --openmetrics [-o FILE]\n"
	"       alloc-stats [--json] [-o FILE] core FILE\n"
	"       alloc-stats top [-b] [-d SECONDS] [-n COUNT] [-s resident|waste|growth|live]\n"
	"       alloc-stats diff A.json B.json\n"
	"       alloc-stats map -o FILE.svg|FILE.html PID | core FILE\n"
	"       alloc-stats [--json] [-o FILE] [--plot FILE.svg] [--library FILE] [--children]\n"
	"                   [--exact] -- COMMAND [ARGUMENT...]\n";

static void usage(void) __attribute__((noreturn));
static void usage(void)
{
	fputs(usage_text, stderr);
	exit(EXIT_USAGE);
}

/* ---- output ---------------------------------------------------------------------------------- */

/* A file appears under its name only when it is whole: a collector may look at any moment. */
static FILE *output_open(const struct settings *o, FILE *otherwise, char **part)
{
	struct stat st;
	int fd;
	FILE *f;

	*part = NULL;
	if (o->output == NULL)
		return otherwise;
	/* /dev/null, a pipe: there is nothing to put in place of it. */
	if (stat(o->output, &st) == 0 && !S_ISREG(st.st_mode)) {
		f = fopen(o->output, "we");
		if (f == NULL)
			fatal(EXIT_FAILED, "%s: %s", o->output, strerror(errno));
		return f;
	}
	*part = grab_format("%s.part", o->output);
	fd = open(*part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL)
		fatal(EXIT_FAILED, "%s: %s", *part, strerror(errno));
	return f;
}

static void output_close(const struct settings *o, FILE *f, char *part)
{
	bool ok = fflush(f) == 0 && !ferror(f);

	if (o->output != NULL)
		ok = fclose(f) == 0 && ok;
	if (part != NULL)
		ok = ok && rename(part, o->output) == 0;
	if (!ok)
		fatal(EXIT_FAILED, "%s: %s", o->output != NULL ? o->output : "output", strerror(errno));
	free(part);
}

static void show(const struct settings *o, FILE *f, struct snapshot *s)
{
	if (o->openmetrics) {
		show_openmetrics(f, &s, 1);
	} else if (o->json) {
		struct json_object *j = json_heap(s);

		show_json(f, j);
		json_object_put(j);
	} else {
		show_text(f, s);
	}
}

/* ---- targets ----------------------------------------------------------------------------------- */

static pid_t parse_pid(const char *text)
{
	uint64_t pid;

	/* The kernel's own limit of process numbers. */
	if (!parse_number(text, 1 << 22, &pid) || pid == 0)
		fatal(EXIT_USAGE, "%s is not a process number", text);
	return (pid_t)pid;
}

static double parse_seconds(const char *text)
{
	char *end;
	double d = strtod(text, &end);

	/* Below a millisecond the reader itself would be all that runs. */
	if (end == text || *end != '\0' || !(d >= 0.001 && d <= 1e6))
		fatal(EXIT_USAGE, "%s is not a number of seconds", text);
	return d;
}

static struct target *open_target(const char *pid, const char *core)
{
	char *error = NULL;
	int status = EXIT_FAILED;
	struct target *t = core != NULL ? target_open_core(core, &error, &status)
					: target_open_pid(parse_pid(pid), &error, &status);

	if (t == NULL)
		fatal(status, "%s", error);
	return t;
}

/* The snapshot, or the end of this program with the reason. */
static struct snapshot *take(struct target *t)
{
	struct snapshot *s = snapshot_take(t);

	/* What was read at last may have been half gone, or another process under the same number. */
	if (s != NULL && t->pid != 0 && !target_alive(t))
		fatal(EXIT_FAILED, "process %d ended while it was read", t->pid);
	if (s != NULL)
		return s;
	if (t->pid == 0)
		fatal(t->error_status, "%s (core file): %s", t->command, t->error);
	if (t->error_status == EXIT_DENIED)
		fatal(EXIT_DENIED, "%s", t->error);
	if (!target_alive(t))
		fatal(EXIT_FAILED, "process %d has ended", t->pid);
	warning("%s [%d]: %s", t->command, t->pid, t->error);
	if (t->error_status == EXIT_NOT_OURS)
		show_plain(stderr, t);
	exit(t->error_status);
}

static int do_one(const struct settings *o, const char *pid, const char *core)
{
	struct target *t = open_target(pid, core);
	struct snapshot *s = take(t);
	char *part;
	FILE *f = output_open(o, stdout, &part);

	for (unsigned i = 0; i < s->nroots; i++)
		if (config_handed_back(t, &s->roots[i]))
			warning("%s [%d] was handed back to the C library's malloc, of which nothing "
				"is seen here (--config says why)", t->command, t->pid);
	show(o, f, s);
	output_close(o, f, part);
	snapshot_free(s);
	target_close(t);
	return 0;
}

static int do_map(const struct settings *o, const char *pid, const char *core)
{
	const char *suffix = o->output != NULL ? strrchr(o->output, '.') : NULL;
	bool html = suffix != NULL && strcmp(suffix, ".html") == 0;
	struct snapshot *s;
	struct target *t;
	char *part;
	FILE *f;

	if (!html && (suffix == NULL || strcmp(suffix, ".svg") != 0))
		fatal(EXIT_USAGE, "map needs -o FILE.svg or -o FILE.html");
	t = open_target(pid, core);
	s = take(t);
	f = output_open(o, NULL, &part);
	show_map(f, s, html);
	output_close(o, f, part);
	snapshot_free(s);
	target_close(t);
	return 0;
}

static int do_watch(const struct settings *o, const char *pid)
{
	struct target *t = open_target(pid, NULL);
	int status;

	status = watch(stdout, t, o->interval, o->count, o->json);
	target_close(t);
	return status;
}

static int do_trim(const struct settings *o, const char *pid)
{
	struct target *t = open_target(pid, NULL);
	struct snapshot *s = take(t);
	int status = 0;

	for (unsigned i = 0; i < s->nroots; i++) {
		const struct found_root *r = &s->roots[i];
		uint64_t freed = 0;
		char a[HUMAN_MAX], *why;

		if (!r->usable)
			continue;
		switch (trim_ask(t, r, o->now, TRIM_SECONDS, &freed, &why)) {
		case TRIM_DONE:
			printf("%s [%d] gave back %s\n", t->command, t->pid, human(a, (double)freed));
			break;
		case TRIM_PENDING:
			printf("%s [%d]: the request is pending: no thread has come by a slow path of "
			       "malloc or free in %.0f seconds; %s\n", t->command, t->pid, TRIM_SECONDS,
			       why != NULL ? why : "--now has one serve it at once");
			status = EXIT_PENDING;
			break;
		default:
			fatal(EXIT_FAILED, "%s [%d]: the request could not be written", t->command, t->pid);
		}
		free(why);
	}
	snapshot_free(s);
	target_close(t);
	return status;
}

static int do_config(const char *pid)
{
	struct target *t = open_target(pid, NULL);
	int status = config_show(stdout, t);

	target_close(t);
	return status;
}

static int do_openmetrics_all(const struct settings *o)
{
	size_t n, denied;
	struct snapshot **list = top_scan(&n, &denied);
	char *part;
	FILE *f = output_open(o, stdout, &part);

	show_openmetrics(f, list, n);
	output_close(o, f, part);
	for (size_t i = 0; i < n; i++)
		snapshot_free(list[i]);
	free(list);
	if (denied > 0)
		warning("%zu could not be read: a permission is missing (sudo)", denied);
	return 0;
}

static int do_diff(const char *a, const char *b)
{
	const char *path[] = {a, b};
	struct json_object *j[2];

	for (int i = 0; i < 2; i++) {
		j[i] = json_object_from_file(path[i]);
		if (j[i] == NULL)
			fatal(EXIT_FAILED, "%s: not readable as JSON", path[i]);
	}
	if (!show_diff(stdout, j[0], j[1]))
		fatal(EXIT_FAILED, "these are not two documents of alloc-stats --json with schema %d",
		      JSON_SCHEMA);
	json_object_put(j[0]);
	json_object_put(j[1]);
	return 0;
}

/* ---- a command -------------------------------------------------------------------------------- */

static void show_ended(const struct settings *o, FILE *f, const struct ended *e)
{
	if (e->last == NULL) {
		warning("process %d: %s%s", e->pid, e->why != NULL ? e->why : "not seen at its end",
			e->why != NULL && strstr(e->why, "not use libarena") != NULL ?
			": it is static or set-user-id, or drops LD_PRELOAD" : "");
		return;
	}
	if (o->json) {
		struct json_object *j = json_heap(e->last);

		json_object_object_add(j, "run", run_json(e));
		show_json(f, j);
		json_object_put(j);
		return;
	}
	show(o, f, e->last);
	if (!o->openmetrics) {
		fputc('\n', f);
		run_show(f, e);
	}
}

static void do_run(const struct settings *o, char *const *argv) __attribute__((noreturn));
static void do_run(const struct settings *o, char *const *argv)
{
	struct run_result r = {0};
	char *library = run_library(o->library), *part;
	FILE *f;

	if (library == NULL)
		exit(EXIT_FAILED);
	if (o->exact)
		run_exact();
	run_command(argv, library, o->children, &r);
	f = output_open(o, stderr, &part);
	if (o->output == NULL && !o->json && !o->openmetrics)
		fputc('\n', f);
	for (size_t i = 0; i < r.n; i++)
		show_ended(o, f, &r.process[i]);
	output_close(o, f, part);
	if (o->plot != NULL && !run_plot_svg(o->plot, &r.process[0]))
		warning("%s: %s", o->plot, strerror(errno));
	run_exit_alike(r.wait_status);
}

/* ---- the command line -------------------------------------------------------------------------- */

static enum top_key parse_sort(const char *text)
{
	static const char *const name[] = {"resident", "waste", "growth", "live"};

	for (unsigned i = 0; i < sizeof name / sizeof *name; i++)
		if (strcmp(text, name[i]) == 0)
			return (enum top_key)i;
	usage();
}

static void parse_option(struct settings *o, int c)
{
	switch (c) {
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_OPENMETRICS:
		o->openmetrics = true;
		break;
	case OPT_WATCH:
	case 'd':
		o->interval = parse_seconds(optarg);
		break;
	case OPT_TRIM:
		o->trim = true;
		break;
	case OPT_NOW:
		o->trim = o->now = true;
		break;
	case OPT_CONFIG:
		o->config = true;
		break;
	case OPT_LIBRARY:
		o->library = optarg;
		break;
	case OPT_CHILDREN:
		o->children = true;
		break;
	case OPT_EXACT:
		o->exact = true;
		break;
	case OPT_PLOT:
		o->plot = optarg;
		break;
	case 'n':
		if (!parse_number(optarg, UINT64_MAX, &o->count))
			usage();
		break;
	case 'o':
		o->output = optarg;
		break;
	case 'b':
		o->batch = true;
		break;
	case 's':
		o->sort = parse_sort(optarg);
		break;
	case 'h':
		fputs(usage_text, stdout);
		exit(0);
	case 'V':
		puts("alloc-stats " PACKAGE_VERSION);
		exit(0);
	default:
		usage();
	}
}

/* Options, then operands, in any order but behind "--". */
static int parse(struct settings *o, int argc, char **argv, const char **word)
{
	int n = 0;

	for (;;) {
		int c = getopt_long(argc, argv, "+o:n:bs:d:hV", long_options, NULL);

		if (c != -1) {
			parse_option(o, c);
			continue;
		}
		if (optind >= argc)
			return n;
		if (strcmp(argv[optind - 1], "--") == 0) {
			if (n > 0)
				usage();
			do_run(o, argv + optind);
		}
		if (n == 3)
			usage();
		word[n++] = argv[optind++];
	}
}

int main(int argc, char **argv)
{
	struct settings o = {0};
	const char *word[3];
	int n = parse(&o, argc, argv, word);

	if (n == 0 && o.openmetrics)
		return do_openmetrics_all(&o);
	if (n == 0)
		usage();
	if (strcmp(word[0], "top") == 0 && n == 1)
		return top_run(stdout, o.sort, o.batch, o.interval > 0 ? o.interval : 2,
			       o.count > 0 ? o.count : o.batch && o.interval <= 0);
	if (strcmp(word[0], "diff") == 0 && n == 3)
		return do_diff(word[1], word[2]);
	if (strcmp(word[0], "map") == 0 && n >= 2 && (n == 2 || strcmp(word[1], "core") == 0))
		return do_map(&o, word[1], n == 3 ? word[2] : NULL);
	if (strcmp(word[0], "core") == 0 && n == 2)
		return do_one(&o, NULL, word[1]);
	if (n != 1)
		usage();
	if (o.config)
		return do_config(word[0]);
	if (o.trim)
		return do_trim(&o, word[0]);
	if (o.interval > 0)
		return do_watch(&o, word[0]);
	return do_one(&o, word[0], NULL);
}
