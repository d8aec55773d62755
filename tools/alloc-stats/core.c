/* SPDX-License-Identifier: MIT
 *
 * core.c - a core file as a target.
 *
 * What the kernel left out of the file (parts of program files that were never written) is read
 * from the program files themselves, where they still exist under their names.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target.h"

#define NOTES_MAX ((size_t)64 << 20)

struct segment {
	uint64_t start, memory, file, offset; /* address, bytes in memory and file, where in the file */
};

struct mapped_file {
	uint64_t start, end, offset;
	char *name;
	int fd; /* -1: not tried, -2: not there */
};

struct core_file {
	int fd;
	uint64_t bytes;
	struct segment *segment;
	size_t nsegments;
	struct mapped_file *file;
	size_t nfiles, capacity;
};

static struct mapped_file *file_at(struct core_file *c, uint64_t addr)
{
	for (size_t i = 0; i < c->nfiles; i++)
		if (c->file[i].start <= addr && addr < c->file[i].end)
			return &c->file[i];
	return NULL;
}

static bool read_file(struct core_file *c, uint64_t addr, void *buf, size_t n)
{
	struct mapped_file *f = file_at(c, addr);
	struct stat st;
	ssize_t got;

	if (f == NULL || f->fd == -2)
		return false;
	if (f->fd == -1) {
		/* O_NONBLOCK: the name is the core's word, and may be that of a pipe. */
		f->fd = open(f->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (f->fd >= 0 && (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode))) {
			close(f->fd);
			f->fd = -1;
		}
		if (f->fd < 0) {
			f->fd = -2;
			return false;
		}
	}
	got = pread(f->fd, buf, n, (off_t)(f->offset + (addr - f->start)));
	if (got <= 0)
		return false;
	/* The last page of a file ends in zeros. */
	memset((char *)buf + got, 0, n - (size_t)got);
	return true;
}

static bool core_read(struct target *t, uint64_t addr, void *buf, size_t n)
{
	struct core_file *c = t->core;

	for (size_t i = 0; i < c->nsegments; i++) {
		const struct segment *s = &c->segment[i];
		uint64_t at = addr - s->start;

		if (addr < s->start || at >= s->memory)
			continue;
		if (at < s->file && s->file - at >= n)
			return pread(c->fd, buf, n, (off_t)(s->offset + at)) == (ssize_t)n;
		return read_file(c, addr, buf, n);
	}
	return read_file(c, addr, buf, n);
}

static int by_start(const void *a, const void *b)
{
	const struct area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool core_list(struct target *t, bool with_rss)
{
	struct core_file *c = t->core;

	(void)with_rss;
	t->areas = grab(c->nsegments * sizeof *t->areas);
	for (size_t i = 0; i < c->nsegments; i++) {
		const struct segment *s = &c->segment[i];
		const struct mapped_file *f = file_at(c, s->start);
		struct area *a = &t->areas[t->nareas];

		if (s->memory == 0 || s->start + s->memory < s->start)
			continue;
		*a = (struct area){.start = s->start, .end = s->start + s->memory, .readable = true};
		a->offset = f != NULL ? f->offset + (s->start - f->start) : 0;
		/* Without a list of files every segment may begin with an ELF header. */
		a->file = f != NULL || c->nfiles == 0;
		a->name = grab_text(f != NULL ? f->name : "");
		t->nareas++;
	}
	qsort(t->areas, t->nareas, sizeof *t->areas, by_start);
	return true;
}

static void core_close(struct target *t)
{
	struct core_file *c = t->core;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->nfiles; i++) {
		if (c->file[i].fd >= 0)
			close(c->file[i].fd);
		free(c->file[i].name);
	}
	if (c->fd >= 0)
		close(c->fd);
	free(c->file);
	free(c->segment);
	free(c);
}

static const struct target_ops core_ops = {core_read, core_list, NULL, core_close};

/* NT_FILE: count, page size, then count times (start, end, page offset), then the names. */
static void note_files(struct core_file *c, const char *desc, size_t n)
{
	const char *name, *stop = desc + n;
	uint64_t head[2], row[3];

	if (n < sizeof head)
		return;
	memcpy(head, desc, sizeof head);
	if (head[0] > (n - sizeof head) / sizeof row)
		return;
	name = desc + sizeof head + head[0] * sizeof row;
	for (uint64_t i = 0; i < head[0]; i++) {
		size_t length = strnlen(name, (size_t)(stop - name));

		if (name + length >= stop)
			return;
		memcpy(row, desc + sizeof head + i * sizeof row, sizeof row);
		c->file = grab_room(c->file, c->nfiles, &c->capacity, sizeof *c->file);
		c->file[c->nfiles++] = (struct mapped_file){row[0], row[1], row[2] * head[1],
							    grab_text(name), -1};
		name += length + 1;
	}
}

static void note_auxv(struct target *t, const char *desc, size_t n)
{
	uint64_t pair[2];

	for (size_t at = 0; at + sizeof pair <= n; at += sizeof pair) {
		memcpy(pair, desc + at, sizeof pair);
		if (pair[0] == AT_PAGESZ && pair[1] >= 4096 && pair[1] <= 65536 &&
		    (pair[1] & (pair[1] - 1)) == 0)
			t->page_bytes = pair[1];
	}
}

static void read_notes(struct target *t, Elf *elf, const GElf_Phdr *p)
{
	Elf_Data *data;
	GElf_Nhdr note;
	size_t at = 0, name, desc;

	if (p->p_filesz > NOTES_MAX)
		return;
	data = elf_getdata_rawchunk(elf, (int64_t)p->p_offset, p->p_filesz,
				    p->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	while (data != NULL && (at = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
		const char *d = (const char *)data->d_buf + desc;
		prpsinfo_t info;

		if (note.n_namesz != 5 || memcmp((const char *)data->d_buf + name, "CORE", 5) != 0)
			continue;
		if (note.n_type == NT_FILE) {
			note_files(t->core, d, note.n_descsz);
		} else if (note.n_type == NT_AUXV) {
			note_auxv(t, d, note.n_descsz);
		} else if (note.n_type == NT_PRPSINFO && note.n_descsz == sizeof info &&
			   t->command == NULL) {
			memcpy(&info, d, sizeof info);
			t->command = grab(sizeof info.pr_fname + 1);
			memcpy(t->command, info.pr_fname, sizeof info.pr_fname);
		}
	}
}

/* NULL when the headers are read; else what is wrong. */
static const char *read_headers(struct target *t, Elf *elf)
{
	struct core_file *c = t->core;
	uint64_t missing = 0;
	GElf_Ehdr e;
	size_t n;

	if (elf == NULL || elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &e) == NULL ||
	    e.e_type != ET_CORE)
		return "not a core file";
	if (gelf_getclass(elf) != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return "the core of a process with another word size than this program's";
	if (elf_getphdrnum(elf, &n) != 0)
		return "its program headers cannot be read";
	c->segment = grab(n * sizeof *c->segment);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;

		if (gelf_getphdr(elf, (int)i, &p) == NULL)
			break;
		if (p.p_type == PT_NOTE)
			read_notes(t, elf, &p);
		if (p.p_type != PT_LOAD)
			continue;
		c->segment[c->nsegments++] =
			(struct segment){p.p_vaddr, p.p_memsz, p.p_filesz, p.p_offset};
		if (p.p_offset > c->bytes)
			missing += p.p_filesz;
		else if (p.p_filesz > c->bytes - p.p_offset)
			missing += p.p_filesz - (c->bytes - p.p_offset);
	}
	if (c->nsegments == 0)
		return "a core file without memory in it";
	if (missing > 0) {
		char a[HUMAN_MAX];

		warning("the core file is truncated: %s of it are missing, the figures are too low",
			human(a, (double)missing));
	}
	return NULL;
}

struct target *target_open_core(const char *path, char **error, int *status)
{
	struct target *t = target_new(&core_ops);
	struct core_file *c = t->core = grab(sizeof *c);
	const char *wrong;
	struct stat st;
	Elf *elf;

	*status = EXIT_FAILED;
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0 || fstat(c->fd, &st) != 0) {
		*error = grab_format("%s: %s", path, strerror(errno));
		target_close(t);
		return NULL;
	}
	c->bytes = (uint64_t)st.st_size;
	elf_version(EV_CURRENT);
	elf = elf_begin(c->fd, ELF_C_READ, NULL);
	wrong = read_headers(t, elf);
	elf_end(elf);
	if (wrong != NULL) {
		*error = grab_format("%s: %s", path, wrong);
		target_close(t);
		return NULL;
	}
	if (t->command == NULL)
		t->command = grab_text("?");
	return t;
}
