/* SPDX-License-Identifier: MIT
 *
 * arena-preload: the command line.  See arena-preload(8).
 */
#include "preload.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_usage(FILE *to)
{
	fputs("usage: arena-preload [options] command\n"
	      "  status                what is preloaded, where and by whom\n"
	      "  check                 the refusals and self-tests of enable, without any change\n"
	      "  enable                check, then preload libarena on trial\n"
	      "  confirm               keep what is on trial\n"
	      "  disable               take the entry out\n"
	      "  run-without CMD...    run CMD without any preloaded library\n"
	      "  unit NAME on|off|default   one systemd unit with or without it\n"
	      "  user on|off           the sessions of the calling user\n"
	      "options:\n"
	      "  -y, --yes             enable: no trial, straight to the disk\n"
	      "  -t, --timeout=MINUTES length of the trial (10), seconds as 30s\n"
	      "      --last            after the other entries, not before\n"
	      "      --root-only       only root's programs (mode 0600)\n"
	      "      --no-guard        go on where no boot guard can work\n"
	      "      --root=DIR        work on the system below DIR\n"
	      "      --library=PATH    another build of the library\n"
	      "  -v, --verbose         name each program that is tried\n"
	      "  -h, --help, -V, --version\n", to);
}

enum { OPT_LAST = 256, OPT_ROOT_ONLY, OPT_NO_GUARD, OPT_ROOT, OPT_LIBRARY };

static const struct option long_options[] = {
	{ "yes", no_argument, NULL, 'y' },
	{ "timeout", required_argument, NULL, 't' },
	{ "last", no_argument, NULL, OPT_LAST },
	{ "root-only", no_argument, NULL, OPT_ROOT_ONLY },
	{ "no-guard", no_argument, NULL, OPT_NO_GUARD },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "library", required_argument, NULL, OPT_LIBRARY },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void set_root(struct ap *a, const char *dir)
{
	char *root = realpath(dir, NULL);

	if (!root) {
		perror(dir);
		exit(2);
	}
	if (strcmp(root, "/") == 0)
		*root = '\0';
	a->root = root;
}

/* Minutes, or seconds as "30s". */
static void set_timeout(struct ap *a, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	bool seconds = strcmp(end, "s") == 0;

	/* a day: whoever wants longer wants --yes */
	if (end == text || (*end && !seconds) || n < 1 || n > (seconds ? 86400 : 1440)) {
		ap_warn("--timeout takes 1 to 1440 minutes, or seconds as 30s");
		exit(2);
	}
	a->seconds = (unsigned)n * (seconds ? 1 : 60);
}

static void parse_options(struct ap *a, int argc, char **argv, const char *letters)
{
	int c;

	while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		switch (c) {
		case 'y':
			a->yes = true;
			break;
		case 't':
			set_timeout(a, optarg);
			break;
		case OPT_LAST:
			a->last = true;
			break;
		case OPT_ROOT_ONLY:
			a->root_only = true;
			break;
		case OPT_NO_GUARD:
			a->no_guard = true;
			break;
		case OPT_ROOT:
			set_root(a, optarg);
			break;
		case OPT_LIBRARY:
			a->entry = optarg;
			break;
		case 'v':
			a->verbose = true;
			break;
		case 'h':
			print_usage(stdout);
			exit(0);
		case 'V':
			ap_say("%s %s", ap_name, PACKAGE_VERSION);
			exit(0);
		default:
			print_usage(stderr);
			exit(2);
		}
	}
}

static const struct command {
	const char *name;
	int (*run)(struct ap *a);
} commands[] = {
	{ "status", ap_cmd_status },	 { "check", ap_cmd_check },
	{ "enable", ap_cmd_enable },	 { "disable", ap_cmd_disable },
	{ "confirm", ap_cmd_confirm },	 { "boot-count", ap_cmd_boot_count },
	{ "boot-good", ap_cmd_boot_good }, { "trial-run", ap_trial_runner },
	{ "trial-end", ap_cmd_trial_end },
};

static int dispatch(struct ap *a, const char *name, char **args, int n)
{
	if (strcmp(name, "unit") == 0 && n == 2)
		return ap_cmd_unit(a, args[0], args[1]);
	if (strcmp(name, "user") == 0 && n == 1)
		return ap_cmd_user(a, args[0]);
	if (strcmp(name, "clean") == 0 && n == 1)
		return ap_cmd_clean(a, args[0]);
	for (size_t i = 0; n == 0 && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(a);
	print_usage(stderr);
	return 2;
}

static bool is_command(const char *word)
{
	static const char *const others[] = { "unit", "user", "clean", "run-without" };

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strcmp(word, others[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(word, commands[i].name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct ap a = { .root = "", .entry = AP_ENTRY, .seconds = AP_TRIAL_SECONDS, .lock_fd = -1 };
	const char *name;

	/* As init= on the kernel's command line; as PID 1 of a container with a command
	 * of ours it is the ordinary program. */
	if (getpid() == 1 && !(argc > 1 && (argv[1][0] == '-' || is_command(argv[1]))))
		return ap_rescue(&a, argv);
	umask(022);
	parse_options(&a, argc, argv, "+yt:vhV");
	if (optind == argc) {
		print_usage(stderr);
		return 2;
	}
	name = argv[optind++];
	if (strcmp(name, "run-without") == 0)
		return ap_cmd_run_without(&a, argv + optind);
	argv[optind - 1] = argv[0];
	argc -= optind - 1;
	argv += optind - 1;
	optind = 0;	/* glibc: start over */
	parse_options(&a, argc, argv, "yt:vhV");
	return dispatch(&a, name, argv + optind, argc - optind);
}
