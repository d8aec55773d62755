/* SPDX-License-Identifier: MIT
 *
 * top.c - a table of every process that runs libarena, on a screen that is drawn anew, or as text.
 *
 * A process in which no libarena was found is not looked at again until its start time or its
 * program changes, which /proc/PID/exe tells: most of a machine costs two system calls a round.
 */
#include "top.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct row {
	pid_t pid;
	char command[32];
	double rss, live, waste, fragmentation, dirty, growth;
};

struct past {
	pid_t pid;
	uint64_t start;
	double rss;
};

/* Processes known to be without libarena: their identity is the directory's inode and program. */
struct stranger {
	pid_t pid;
	struct timespec started;
	ino_t program;
};
static struct stranger *strangers;
static size_t nstrangers, strangers_capacity;
static struct past *past;
static size_t npast;

/* ---- which processes ------------------------------------------------------------------------- */

static bool identify(pid_t pid, struct stranger *id)
{
	char path[48];
	struct stat dir, exe;

	snprintf(path, sizeof path, "/proc/%d", pid);
	if (stat(path, &dir) != 0)
		return false;
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	*id = (struct stranger){pid, dir.st_ctim, stat(path, &exe) == 0 ? exe.st_ino : 0};
	return true;
}

static bool is_stranger(const struct stranger *id)
{
	for (size_t i = 0; i < nstrangers; i++)
		if (strangers[i].pid == id->pid)
			return memcmp(&strangers[i], id, sizeof *id) == 0;
	return false;
}

static void remember(const struct stranger *id)
{
	for (size_t i = 0; i < nstrangers; i++)
		if (strangers[i].pid == id->pid) {
			strangers[i] = *id;
			return;
		}
	strangers = grab_room(strangers, nstrangers, &strangers_capacity, sizeof *strangers);
	strangers[nstrangers++] = *id;
}

struct snapshot **top_scan(size_t *n, size_t *denied)
{
	struct snapshot **list = NULL;
	size_t capacity = 0;
	DIR *dir = opendir("/proc");
	struct dirent *e;

	*n = *denied = 0;
	if (dir == NULL)
		fatal(EXIT_FAILED, "/proc cannot be read");
	while ((e = readdir(dir)) != NULL) {
		struct stranger id;
		struct target *t;
		struct snapshot *s;
		char *error = NULL;
		uint64_t pid;
		int status;

		memset(&id, 0, sizeof id);
		if (!parse_number(e->d_name, 1 << 22, &pid) || !identify((pid_t)pid, &id) ||
		    is_stranger(&id))
			continue;
		t = target_open_pid((pid_t)pid, &error, &status);
		free(error);
		if (t == NULL)
			continue;
		s = snapshot_take(t);
		if (s != NULL) {
			list = grab_room(list, *n, &capacity, sizeof *list);
			list[(*n)++] = s;
		} else if (t->error_status == EXIT_DENIED) {
			(*denied)++;
		} else if (t->error_status == EXIT_NOT_OURS) {
			remember(&id);
		}
		target_close(t);
	}
	closedir(dir);
	return list;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum top_key sort_key;

static double key_of(const struct row *r)
{
	return sort_key == TOP_WASTE ? r->waste : sort_key == TOP_GROWTH ? r->growth :
	       sort_key == TOP_LIVE ? r->live : r->rss;
}

static int by_key(const void *a, const void *b)
{
	double x = key_of(a), y = key_of(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Growth is since the round before. */
static struct row *make_rows(size_t *n, size_t *denied)
{
	struct snapshot **list = top_scan(n, denied);
	struct row *rows = grab((*n + 1) * sizeof *rows);
	struct past *now = grab((*n + 1) * sizeof *now);

	for (size_t i = 0; i < *n; i++) {
		const struct snapshot *s = list[i];
		struct row *r = &rows[i];

		*r = (struct row){.pid = s->pid, .rss = (double)s->rss, .live = (double)s->live};
		snprintf(r->command, sizeof r->command, "%s", s->command);
		for (char *c = r->command; *c != '\0'; c++)
			if (!isprint((unsigned char)*c))
				*c = '?';
		r->fragmentation = s->part.fragmentation;
		r->dirty = s->part.dirty;
		r->waste = s->part.cached + s->part.fragmentation + s->part.dirty + s->part.clean +
			   s->part.metadata;
		for (size_t k = 0; k < npast; k++)
			if (past[k].pid == s->pid && past[k].start == s->start_ticks)
				r->growth = r->rss - past[k].rss;
		now[i] = (struct past){s->pid, s->start_ticks, r->rss};
		snapshot_free(list[i]);
	}
	free(list);
	free(past);
	past = now;
	npast = *n;
	qsort(rows, *n, sizeof *rows, by_key);
	return rows;
}

static const char head_format[] = "%8s %10s %10s %10s %10s %10s %10s  %s";

static void format_head(char *line, size_t n)
{
	snprintf(line, n, head_format, "PID", "RSS", "LIVE", "WASTE", "FRAGM.", "DIRTY", "GROWTH",
		 "COMMAND");
}

static void format_row(char *line, size_t n, const struct row *r)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX], d[HUMAN_MAX], e[HUMAN_MAX], g[HUMAN_MAX], pid[16];

	snprintf(pid, sizeof pid, "%d", r->pid);
	snprintf(line, n, head_format, pid, human(a, r->rss), human(b, r->live), human(c, r->waste),
		 human(d, r->fragmentation), human(e, r->dirty), human(g, r->growth), r->command);
}

/* ---- text ------------------------------------------------------------------------------------- */

static int batch_run(FILE *f, double seconds, uint64_t count)
{
	for (uint64_t i = 0; count == 0 || i < count; i++) {
		size_t n, denied;
		struct row *rows;
		char line[256];

		if (i > 0) {
			usleep((useconds_t)(seconds * 1e6));
			fputc('\n', f);
		}
		rows = make_rows(&n, &denied);
		format_head(line, sizeof line);
		fprintf(f, "%s\n", line);
		for (size_t k = 0; k < n; k++) {
			format_row(line, sizeof line, &rows[k]);
			fprintf(f, "%s\n", line);
		}
		if (denied > 0)
			fprintf(f, "could not be read: %zu; sudo shows them too\n", denied);
		free(rows);
		if (fflush(f) != 0)
			return EXIT_FAILED;
	}
	return 0;
}

/* ---- the screen --------------------------------------------------------------------------------- */

static void draw(const struct row *rows, size_t n, size_t denied, size_t *first)
{
	static const char *const name[] = {"resident", "waste", "growth", "live"};
	double rss = 0, live = 0, waste = 0;
	char line[256], a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];
	int lines = LINES - 4, at;

	for (size_t i = 0; i < n; i++) {
		rss += rows[i].rss;
		live += rows[i].live;
		waste += rows[i].waste;
	}
	if (n == 0 || *first > n - 1)
		*first = 0;
	erase();
	at = snprintf(line, sizeof line, "%zu process%s libarena, by %s: RSS %s, live %s, waste %s", n,
		      n == 1 ? " runs" : "es run", name[sort_key], human(a, rss), human(b, live),
		      human(c, waste));
	if (denied > 0)
		snprintf(line + at, sizeof line - (size_t)at, " (%zu unreadable: sudo)", denied);
	mvaddnstr(0, 0, line, COLS);
	format_head(line, sizeof line);
	attron(A_REVERSE);
	mvprintw(2, 0, "%-*.*s", COLS, COLS, line);
	attroff(A_REVERSE);
	for (int i = 0; i < lines && *first + (size_t)i < n; i++) {
		format_row(line, sizeof line, &rows[*first + (size_t)i]);
		mvaddnstr(3 + i, 0, line, COLS);
	}
	mvaddnstr(LINES - 1, 0, "sort: r resident  w waste  g growth  l live    up/down scroll    q quit",
		  COLS);
	refresh();
}

static int screen_run(double seconds)
{
	size_t n = 0, denied = 0, first = 0;
	struct row *rows = NULL;
	double next = 0;
	int key = 0;

	setlocale(LC_ALL, "");
	if (initscr() == NULL)
		return EXIT_FAILED;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	while (key != 'q') {
		double left = next - now_seconds();

		if (left <= 0) {
			free(rows);
			rows = make_rows(&n, &denied);
			next = now_seconds() + seconds;
			left = seconds;
		}
		draw(rows, n, denied, &first);
		timeout((int)(left * 1000) + 1);
		key = getch();
		switch (key) {
		case 'r':
			sort_key = TOP_RESIDENT;
			break;
		case 'w':
			sort_key = TOP_WASTE;
			break;
		case 'g':
			sort_key = TOP_GROWTH;
			break;
		case 'l':
			sort_key = TOP_LIVE;
			break;
		case KEY_DOWN:
			first += first + 1 < n;
			break;
		case KEY_UP:
			first -= first > 0;
			break;
		default:
			break; /* KEY_RESIZE too: all is drawn anew */
		}
		qsort(rows, n, sizeof *rows, by_key);
	}
	endwin();
	free(rows);
	return 0;
}

int top_run(FILE *f, enum top_key key, bool batch, double seconds, uint64_t count)
{
	sort_key = key;
	return batch ? batch_run(f, seconds, count) : screen_run(seconds);
}
