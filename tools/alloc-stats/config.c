/* SPDX-License-Identifier: MIT
 *
 * config.c - which malloc serves a process, its options, and where each of them came from.
 */
#include <stdlib.h>
#include <string.h>

#include "configuration.h"
#include "policy.h"

/* A path of the library's own; the longest that a build would have. */
#define PATH_MAX_SHOWN 256

static const char *const option_names[] = {
#define OPTION(name, value, lowest, highest, what) #name,
#include "options.def"
#undef OPTION
};

/* The text at ADDR, made fit to be printed. */
static void read_text(struct target *t, uint64_t addr, char *text, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && target_read(t, addr + n, text + n, 1) && text[n] != '\0') {
		if (text[n] < ' ' || text[n] > '~')
			text[n] = '?';
		n++;
	}
	text[n] = '\0';
}

static const char *service_text(uint32_t service)
{
	switch (service) {
	case POLICY_OURS:
		return "serves malloc";
	case POLICY_LIBC:
		return "handed the program back to the C library's malloc";
	case POLICY_NOT_ASKED:
		return "serves those who call it by name, whatever \"enabled\" says";
	case POLICY_IMPOSSIBLE:
		return "serves malloc, since the program has no other (static, or not with glibc)";
	default:
		return "has not been called yet";
	}
}

static char *source_text(const struct option_source *s, const char *path)
{
	switch (s->origin) {
	case ORIGIN_DEFAULT:
		return grab_text("default");
	case ORIGIN_CONF:
		return grab_format("%s:%u", path, s->line);
	case ORIGIN_CONF_D:
		return grab_format("%s.d/%.*s:%u", path, OPTION_FILE_BYTES, s->file, s->line);
	case ORIGIN_ENVIRONMENT:
		return grab_text("ARENA_OPTIONS");
	case ORIGIN_MALLOPT:
		return grab_text("the program: mallopt(3)");
	default:
		return grab_text("?");
	}
}

static void show_files(FILE *f, const struct arn_policy *p, const char *path)
{
	if (p->error == 0)
		fprintf(f, "%s was read, and %u file%s of %s.d", path, p->nfiles,
			p->nfiles == 1 ? "" : "s", path);
	else if (p->error < 0)
		fprintf(f, "%s was not read (%s), nor was %s.d", path, strerror(-p->error), path);
	else
		fprintf(f, "%s has not been looked for yet", path);
	if (p->nwrong > 0)
		fprintf(f, "; %u fault%s in them, warned of at the start", p->nwrong,
			p->nwrong == 1 ? "" : "s");
	fputc('\n', f);
}

static bool show_root(FILE *f, struct target *t, const struct found_root *r)
{
	struct option_source from[OPTION_COUNT];
	size_t value[OPTION_COUNT];
	struct arn_policy p;
	char path[PATH_MAX_SHOWN];

	if (!target_read(t, (uintptr_t)r->root.policy, &p, sizeof p) || p.noptions != OPTION_COUNT ||
	    !target_read(t, (uintptr_t)p.sources, from, sizeof from) ||
	    !target_read(t, (uintptr_t)r->root.options, value, sizeof value))
		return false;
	read_text(t, (uintptr_t)p.path, path, sizeof path);
	fprintf(f, "%s [%d]: libarena %s %s\n", t->command, t->pid, r->version,
		service_text(p.service));
	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		char *source;

		from[i].file[OPTION_FILE_BYTES - 1] = '\0';
		for (char *c = from[i].file; *c != '\0'; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
		source = source_text(&from[i], path);
		fprintf(f, "%-16s %10zu  %s\n", option_names[i], value[i], source);
		free(source);
	}
	show_files(f, &p, path);
	return true;
}

int config_show(FILE *f, struct target *t)
{
	struct found_root roots[ROOTS_MAX];
	unsigned count = 0;
	int status = EXIT_NOT_OURS;

	target_forget(t);
	if (!target_list(t, false))
		fatal(t->error_status, "%s", t->error);
	roots_find(t, roots, &count);
	if (count == 0)
		warning("%s [%d]: it does not use libarena", t->command, t->pid);
	for (unsigned i = 0; i < count; i++) {
		if (!roots[i].usable) {
			char *why = root_refusal(&roots[i]);

			warning("%s [%d]: %s", t->command, t->pid, why);
			free(why);
		} else if (show_root(f, t, &roots[i])) {
			status = 0;
		} else {
			warning("%s [%d]: its configuration could not be read", t->command, t->pid);
		}
	}
	roots_free(roots, count);
	return status;
}

bool config_handed_back(struct target *t, const struct found_root *r)
{
	struct arn_policy p;

	return r->usable && target_read(t, (uintptr_t)r->root.policy, &p, sizeof p) &&
	       p.service == POLICY_LIBC;
}
