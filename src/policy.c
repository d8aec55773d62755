/* SPDX-License-Identifier: MIT
 *
 * policy.c - reads arena.conf and arena.conf.d/NAME.conf: sections of settings, each for the
 * programs that its header matches (arena.conf(5)).  Layer api.
 *
 * It runs before the first block is handed out, perhaps before libc is ready: no memory but the
 * stack, no function of libc, and the system calls of os.h, none after the start.  When there is no
 * arena.conf that is one call; arena.conf.d is looked at only when there is.  What a condition
 * needs to know (the executable, the cgroup) is asked from the kernel when a header asks for it.
 */
#include "policy.h"

#include "fatal.h"
#include "os.h"

/* configure's sysconfdir says it, by src/local.mk. */
#ifndef ARN_CONF
#define ARN_CONF "/etc/arena.conf"
#endif
/* One read for what most files have; it is also the longest line. */
#define BUFFER_BYTES 4096
/* More than anybody writes; a file that goes on for ever has an end here. */
#define FILE_BYTES_MAX (64 << 10)
/* Files of arena.conf.d; their names lie on the stack while they are sorted. */
#define FILES_MAX 32
/* Longer paths are no executable's that a rule would name. */
#define EXE_BYTES    512
#define CGROUP_BYTES 512

/* Arrays, which no linker merges with other strings: a test changes them in a copy of the library,
 * so that the library itself needs no other way to be told its files.  The pointer beside them
 * brings them into a page that the loader has written to; of constants alone, the kernel's
 * reading of the name would be the first touch, a page fault in every process. */
static const struct {
	const struct option_source *sources;
	char conf[sizeof ARN_CONF], conf_d[sizeof ARN_CONF ".d"];
} files = {arn_option_sources, ARN_CONF, ARN_CONF ".d"};

static const char suffix[] = ".conf";

/* In .data, whose page is touched anyway, not in .bss. */
struct arn_policy arn_policy = {
	.error = 1,
	.path = files.conf,
	.sources = arn_option_sources,
	.noptions = OPTION_COUNT,
};

struct text {
	const char *s;
	size_t n;
};

/* What conditions are about; asked once, when the first condition wants it. */
struct facts {
	bool exe_known, cgroup_known;
	struct text exe, cgroup;
	char exe_text[EXE_BYTES];
	char cgroup_text[CGROUP_BYTES];
};

struct file {
	struct facts *facts;
	struct option_source source; /* of the line that is being read */
	bool applies;                /* the section is for this program */
};

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct text trim(struct text t)
{
	while (t.n > 0 && is_blank(t.s[0]))
		t = (struct text){t.s + 1, t.n - 1};
	while (t.n > 0 && is_blank(t.s[t.n - 1]))
		t.n--;
	return t;
}

static bool is_word(struct text t, const char *word)
{
	size_t i = 0;

	while (i < t.n && word[i] != '\0' && word[i] == t.s[i])
		i++;
	return i == t.n && word[i] == '\0';
}

/* ---- the one warning ------------------------------------------------------------------------ */

static void put(char *out, size_t *n, size_t size, const char *s, size_t s_n)
{
	for (size_t i = 0; i < s_n && *n < size - 1; i++)
		out[(*n)++] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	out[*n] = '\0';
}

/* Line 0: the file as a whole. */
static ARN_COLD void complain(const struct option_source *at, const char *what, struct text detail)
{
	char text[160], shown[40], digits[11];
	size_t n = 0, shown_n = 0, d = sizeof digits;

	/* One line for each process, whatever there is to say. */
	if (arn_policy.nwrong++ > 0)
		return;
	put(text, &n, sizeof text, arn_policy.path, length(arn_policy.path));
	if (at->origin == ORIGIN_CONF_D) {
		put(text, &n, sizeof text, ".d/", 3);
		put(text, &n, sizeof text, at->file, length(at->file));
	}
	if (at->line > 0) {
		for (uint32_t x = at->line; x > 0; x /= 10)
			digits[--d] = (char)('0' + x % 10);
		put(text, &n, sizeof text, ":", 1);
		put(text, &n, sizeof text, digits + d, sizeof digits - d);
	}
	put(text, &n, sizeof text, ": ", 2);
	put(text, &n, sizeof text, what, length(what));
	put(text, &n, sizeof text, " (see arena.conf(5))", 20);
	put(shown, &shown_n, sizeof shown, detail.s, detail.n);
	arn_warn(text, detail.n > 0 ? shown : NULL, shown_n);
}

/* ---- conditions ----------------------------------------------------------------------------- */

/* "*": any characters, also none and also slashes; "?": one. */
static bool matches(struct text pattern, struct text t)
{
	size_t p = 0, i = 0, star = SIZE_MAX, star_i = 0;

	while (i < t.n) {
		if (p < pattern.n && pattern.s[p] == '*') {
			star = p++;
			star_i = i;
		} else if (p < pattern.n && (pattern.s[p] == '?' || pattern.s[p] == t.s[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++star_i;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.s[p] == '*')
		p++;
	return p == pattern.n;
}

static struct text fact_exe(struct facts *f)
{
	const char *name;
	long n;

	if (f->exe_known)
		return f->exe;
	f->exe_known = true;
	n = arn_os_readlink("/proc/self/exe", f->exe_text, sizeof f->exe_text);
	if (n > 0 && (size_t)n < sizeof f->exe_text)
		f->exe = (struct text){f->exe_text, (size_t)n};
	if (n > 0 || arn_os_is_secure())
		return f->exe;
	/* No /proc here.  What execve was told is the caller's word: good enough but for
	 * programs that gain privileges. */
	name = arn_os_execfn();
	if (name != NULL && name[0] == '/')
		f->exe = (struct text){name, length(name)};
	return f->exe;
}

static struct text base_name(struct text path)
{
	for (size_t i = path.n; i > 0; i--)
		if (path.s[i - 1] == '/')
			return (struct text){path.s + i, path.n - i};
	return path;
}

static bool begins(struct text t, const char *with)
{
	size_t n = length(with);

	return t.n >= n && is_word((struct text){t.s, n}, with);
}

/* The next line of *REST, which begins behind it then; false: none is left. */
static bool next_line(struct text *rest, struct text *line)
{
	size_t n = 0;

	if (rest->n == 0)
		return false;
	while (n < rest->n && rest->s[n] != '\n')
		n++;
	*line = (struct text){rest->s, n};
	n += n < rest->n;
	*rest = (struct text){rest->s + n, rest->n - n};
	return true;
}

/* The path of the unified hierarchy ("0::/..."), or where there is one, of systemd's own. */
static struct text fact_cgroup(struct facts *f)
{
	struct text rest = {f->cgroup_text, 0}, line;
	int fd;

	if (f->cgroup_known)
		return f->cgroup;
	f->cgroup_known = true;
	fd = arn_os_open(OS_CWD, "/proc/self/cgroup");
	if (fd < 0)
		return f->cgroup;
	for (long n = 1; n > 0 && rest.n < sizeof f->cgroup_text;) {
		n = arn_os_read(fd, f->cgroup_text + rest.n, sizeof f->cgroup_text - rest.n);
		rest.n += n > 0 ? (size_t)n : 0;
	}
	arn_os_close(fd);
	while (next_line(&rest, &line)) {
		size_t at = 0, colons = 0;

		while (at < line.n && colons < 2)
			colons += line.s[at++] == ':';
		if (begins(line, "0::") && f->cgroup.n == 0)
			f->cgroup = (struct text){line.s + at, line.n - at};
		while (line.n > 0 && line.s[0] != ':')
			line = (struct text){line.s + 1, line.n - 1};
		if (begins(line, ":name=systemd:"))
			f->cgroup = (struct text){line.s + 14, line.n - 14};
	}
	return f->cgroup;
}

/* Any directory on the way: processes of a unit may have been put into groups below it. */
static bool matches_unit(struct text pattern, struct text path)
{
	size_t from = 0;

	for (size_t i = 0; i <= path.n; i++) {
		if (i < path.n && path.s[i] != '/')
			continue;
		if (i > from && matches(pattern, (struct text){path.s + from, i - from}))
			return true;
		from = i + 1;
	}
	return false;
}

/* "1000" or "1000-1999". */
static bool parse_range(struct text t, uint32_t *low, uint32_t *high)
{
	uint64_t x[2] = {0, 0};
	size_t i = 0;

	for (int k = 0; k < 2; k++) {
		size_t from = i;

		for (; i < t.n && t.s[i] >= '0' && t.s[i] <= '9' && x[k] <= UINT32_MAX; i++)
			x[k] = x[k] * 10 + (uint64_t)(t.s[i] - '0');
		if (i == from || x[k] > UINT32_MAX)
			return false;
		if (k == 0 && i < t.n && t.s[i] == '-')
			i++;
		else if (k == 0)
			x[++k] = x[0];
	}
	*low = (uint32_t)x[0];
	*high = (uint32_t)x[1];
	return i == t.n && x[0] <= x[1];
}

/* Whether NAME=VALUE holds for this process; it need not be found out when STILL is false.
 * *OK becomes false when it is no condition at all. */
static bool holds(struct facts *f, struct text name, struct text value, bool still, bool *ok)
{
	if (value.n == 0) {
		*ok = false;
	} else if (is_word(name, "exe")) {
		return still && matches(value, fact_exe(f));
	} else if (is_word(name, "name")) {
		return still && matches(value, base_name(fact_exe(f)));
	} else if (is_word(name, "unit")) {
		return still && matches_unit(value, fact_cgroup(f));
	} else if (is_word(name, "cgroup")) {
		return still && matches(value, fact_cgroup(f));
	} else if (is_word(name, "secure")) {
		*ok = is_word(value, "yes") || is_word(value, "no");
		return *ok && arn_os_is_secure() == is_word(value, "yes");
	} else if (is_word(name, "uid")) {
		uint32_t low, high, uid = arn_os_uid();

		*ok = parse_range(value, &low, &high);
		return *ok && low <= uid && uid <= high;
	} else {
		*ok = false;
	}
	return false;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* Takes a condition off the front of *T.  A value with blanks or "]" in it stands in quotes. */
static bool take_condition(struct text *t, struct text *name, struct text *value)
{
	char stop = '\0';
	size_t n = 0;

	while (n < t->n && t->s[n] != '=' && !is_blank(t->s[n]))
		n++;
	*name = (struct text){t->s, n};
	if (n == t->n || t->s[n] != '=')
		return false;
	n++;
	if (n < t->n && t->s[n] == '"')
		stop = t->s[n++];
	*value = (struct text){t->s + n, 0};
	while (n < t->n && (stop != '\0' ? t->s[n] != stop : !is_blank(t->s[n])))
		n++;
	value->n = (size_t)(t->s + n - value->s);
	if (stop != '\0' && n++ == t->n)
		return false;
	*t = trim((struct text){t->s + n, t->n - n});
	return true;
}

/* "[exe=/usr/bin/x uid=1000]": all must hold; "[]" is for every program again. */
static void read_header(struct file *f, struct text line)
{
	bool ok = line.n >= 2 && line.s[line.n - 1] == ']', all = true;
	struct text rest = {line.s + 1, ok ? line.n - 2 : 0}, name, value;

	rest = trim(rest);
	while (ok && rest.n > 0) {
		ok = take_condition(&rest, &name, &value);
		if (ok)
			all = holds(f->facts, name, value, all, &ok) && all;
	}
	/* A header that is not understood is for nobody. */
	f->applies = ok && all;
	if (!ok)
		complain(&f->source, "not a condition", line);
}

static void read_setting(struct file *f, struct text line)
{
	struct text name, value;
	size_t n = 0, x;
	int id;

	while (n < line.n && line.s[n] != '=')
		n++;
	name = trim((struct text){line.s, n});
	value = n < line.n ? trim((struct text){line.s + n + 1, line.n - n - 1})
			   : (struct text){"", 0};
	id = arn_options_find(name.s, name.n);
	if (id < 0 || !arn_options_value(id, value.s, value.n, &x))
		complain(&f->source, "not an option, or out of range", line);
	else if (f->applies)
		arn_options_set(id, x, &f->source);
}

/* A "#" begins a comment, at the start or after a blank; outside of quotes. */
static struct text without_comment(struct text t)
{
	bool quoted = false;

	for (size_t i = 0; i < t.n; i++) {
		quoted ^= t.s[i] == '"';
		if (t.s[i] == '#' && !quoted && (i == 0 || is_blank(t.s[i - 1])))
			t.n = i;
	}
	return t;
}

static void read_line(struct file *f, struct text line)
{
	f->source.line++;
	line = trim(without_comment(line));
	if (line.n == 0)
		return;
	if (line.s[0] == '[')
		read_header(f, line);
	else
		read_setting(f, line);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The administrator's own, or what can harm nobody but the user himself; "nobody" is who root
 * becomes inside of a user namespace. */
static const char *distrust(int fd)
{
	struct os_file st;
	bool secure = arn_os_is_secure();

	/* A sandbox that lets us open but not look. */
	if (!arn_os_stat(fd, &st))
		return secure ? "cannot be examined" : NULL;
	if (!st.regular)
		return "not a regular file";
	if ((st.mode & 022) != 0)
		return "writable by others than its owner";
	if (st.uid != 0 && (secure || (st.uid != arn_os_uid() && st.uid != 65534)))
		return "not owned by root";
	return NULL;
}

struct lines {
	char buf[BUFFER_BYTES];
	size_t have;   /* bytes of a line that has not ended */
	bool skipping; /* it was too long, and goes on */
};

/* Takes the whole lines out of the buffer. */
static void take_lines(struct file *f, struct lines *l, bool at_end)
{
	size_t from = 0, rest;

	for (size_t i = 0; i < l->have; i++) {
		if (l->buf[i] != '\n')
			continue;
		if (!l->skipping)
			read_line(f, (struct text){l->buf + from, i - from});
		l->skipping = false;
		from = i + 1;
	}
	rest = l->have - from;
	if (at_end && rest > 0 && !l->skipping)
		read_line(f, (struct text){l->buf + from, rest});
	if (rest == sizeof l->buf && !l->skipping) {
		f->source.line++;
		complain(&f->source, "the line is too long", (struct text){l->buf, rest});
		l->skipping = true;
	}
	if (l->skipping)
		rest = 0;
	for (size_t i = 0; i < rest; i++)
		l->buf[i] = l->buf[from + i];
	l->have = rest;
}

static void read_lines(struct file *f, int fd)
{
	const struct text nothing = {"", 0};
	struct lines l;

	l.have = 0;
	l.skipping = false;
	for (size_t total = 0; total < FILE_BYTES_MAX;) {
		size_t asked = sizeof l.buf - l.have;
		long got = arn_os_read(fd, l.buf + l.have, asked);

		if (got < 0 || (size_t)got > asked) {
			complain(&f->source, "cannot be read", nothing);
			return;
		}
		l.have += (size_t)got;
		total += (size_t)got;
		/* A file that gives less than was asked ends there. */
		take_lines(f, &l, (size_t)got < asked);
		if ((size_t)got < asked)
			return;
	}
	f->source.line = 0;
	complain(&f->source, "longer than 64 KiB, the rest is ignored", nothing);
}

/* Closes FD. */
static void read_file(struct file *f, int fd)
{
	const char *why = distrust(fd);

	f->applies = true;
	f->source.line = 0;
	if (why == NULL)
		read_lines(f, fd);
	else
		complain(&f->source, why, (struct text){"", 0});
	arn_os_close(fd);
}

/* ---- arena.conf.d --------------------------------------------------------------------------- */

struct names {
	unsigned n;
	char name[FILES_MAX][OPTION_FILE_BYTES];
};

static int compare(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

static void copy_name(char *to, const char *from)
{
	do
		*to++ = *from;
	while (*from++ != '\0');
}

static bool is_conf(const char *name, size_t n)
{
	return name[0] != '.' && n > 5 && compare(name + n - 5, suffix) == 0;
}

/* Keeps the names sorted, and of too many the first ones; false: one was left out. */
static bool keep_name(struct names *names, const char *name)
{
	bool room = names->n < FILES_MAX;
	unsigned i;

	if (!room && compare(name, names->name[FILES_MAX - 1]) > 0)
		return false;
	for (i = room ? names->n++ : FILES_MAX - 1; i > 0; i--) {
		if (compare(names->name[i - 1], name) < 0)
			break;
		copy_name(names->name[i], names->name[i - 1]);
	}
	copy_name(names->name[i], name);
	return room;
}

/* The kernel's struct linux_dirent64: two 64-bit words, the length, the type, the name. */
#define DIRENT_LENGTH 16
#define DIRENT_NAME   19

static void list_names(struct file *f, int fd, struct names *names)
{
	char buf[1024] __attribute__((aligned(8)));
	long got;

	while ((got = arn_os_list(fd, buf, sizeof buf)) > 0) {
		for (long at = 0; at + DIRENT_NAME < got;) {
			const char *name = buf + at + DIRENT_NAME;
			uint16_t step = *(const uint16_t *)(const void *)(buf + at + DIRENT_LENGTH);
			size_t n = length(name);

			if (is_conf(name, n) && n >= OPTION_FILE_BYTES)
				complain(&f->source, "the file's name is too long in arena.conf.d",
					 (struct text){name, n});
			else if (is_conf(name, n) && !keep_name(names, name))
				complain(&f->source, "more than 32 files in arena.conf.d",
					 (struct text){name, n});
			at += step;
		}
	}
}

static ARN_COLD void read_directory(struct facts *facts)
{
	struct file f = {.facts = facts, .source = {.origin = ORIGIN_CONF}};
	struct names names;
	int dir = arn_os_open(OS_CWD, files.conf_d);

	if (dir < 0)
		return;
	names.n = 0;
	list_names(&f, dir, &names);
	for (unsigned i = 0; i < names.n; i++) {
		int fd = arn_os_open(dir, names.name[i]);

		if (fd < 0)
			continue;
		f.source.origin = ORIGIN_CONF_D;
		copy_name(f.source.file, names.name[i]);
		read_file(&f, fd);
		arn_policy.nfiles++;
	}
	arn_os_close(dir);
}

/* ---- all ------------------------------------------------------------------------------------ */

static ARN_COLD void read_all(int fd)
{
	struct facts facts;
	struct file f = {.facts = &facts, .source = {.origin = ORIGIN_CONF}};

	facts.exe_known = facts.cgroup_known = false;
	facts.exe = facts.cgroup = (struct text){"", 0};
	read_file(&f, fd);
	read_directory(&facts);
}

void arn_policy_read(void)
{
	int fd = arn_os_open(OS_CWD, files.conf);

	/* Not there, or not for us to read (a confined program): the defaults. */
	arn_policy.error = fd < 0 ? fd : 0;
	if (fd >= 0)
		read_all(fd);
}
