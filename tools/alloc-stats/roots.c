/* SPDX-License-Identifier: MIT
 *
 * roots.c - finds every libarena in a target by the ELF note of root.h, in the program headers of
 * every ELF image as it stands in memory: no file is opened, so deleted files, containers and
 * stripped static programs make no difference.
 */
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

/* Images have about ten program headers and a few hundred bytes of notes. */
#define HEADERS_MAX 128
#define NOTES_MAX 65536

static uint32_t round4(uint32_t n)
{
	return (n + 3) & ~3u;
}

/* The address of our note's descriptor in the note segment at ADDR, or 0. */
static uint64_t find_note(struct target *t, uint64_t addr, uint64_t n)
{
	char *notes;
	uint64_t at = 0, found = 0;

	if (n > NOTES_MAX)
		n = NOTES_MAX;
	notes = grab(n);
	if (!target_read(t, addr, notes, n))
		n = 0;
	while (found == 0 && at + sizeof(ElfW(Nhdr)) <= n) {
		ElfW(Nhdr) note;
		uint64_t name = at + sizeof note, desc;

		memcpy(&note, notes + at, sizeof note);
		if (note.n_namesz > n || note.n_descsz > n)
			break;
		desc = name + round4(note.n_namesz);
		if (desc + note.n_descsz > n)
			break;
		if (note.n_type == ARN_NOTE_TYPE && note.n_namesz == sizeof ARN_NOTE_NAME &&
		    note.n_descsz == 8 && memcmp(notes + name, ARN_NOTE_NAME, note.n_namesz) == 0)
			found = addr + desc;
		at = desc + round4(note.n_descsz);
	}
	free(notes);
	return found;
}

/* Whether [ADDR, ADDR + N) lies in memory that the target can read. */
static bool lies_mapped(struct target *t, uint64_t addr, uint64_t n)
{
	const struct area *a = target_area(t, addr);

	return a != NULL && a->end - addr >= n;
}

static void check_root(struct found_root *f)
{
	const struct arn_root *r = &f->root;

	memcpy(f->version, r->library_version, 16);
	for (char *c = f->version; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	f->usable = r->version == ARN_ROOT_VERSION && r->word_bytes == sizeof(void *) &&
		    r->layout == ARN_ROOT_LAYOUT && r->heap_bytes == sizeof(struct heap) &&
		    r->run_bytes == sizeof(struct run) && r->chunk_bytes == sizeof(struct chunk) &&
		    r->pages_bytes == sizeof(struct pages_state) && r->nclasses == NCLASSES &&
		    r->page_shift == PAGE_SHIFT && r->live_nrows == LIVE_ROWS;
}

char *root_refusal(const struct found_root *f)
{
	if (f->root.version != ARN_ROOT_VERSION)
		return grab_format("its libarena %s has a root descriptor of version %u, this "
				   "alloc-stats %s reads version %u: use the alloc-stats that came with "
				   "that library", f->version, f->root.version, PACKAGE_VERSION,
				   ARN_ROOT_VERSION);
	if (f->root.word_bytes != sizeof(void *))
		return grab_format("its libarena %s is of another word size than this alloc-stats: use "
				   "the one built for its architecture", f->version);
	return grab_format("its libarena %s was built with another layout of its structures than this "
			   "alloc-stats %s: use the alloc-stats that was built with that library",
			   f->version, PACKAGE_VERSION);
}

/* A descriptor of another version may be shorter than ours, and end where its memory ends: the rest
 * is read only when there is one. */
static bool read_root(struct target *t, struct found_root *f)
{
	struct arn_root *r = &f->root;

	memset(r, 0, sizeof *r);
	if (!target_read(t, f->addr, r, offsetof(struct arn_root, heaps)) ||
	    r->magic != ARN_ROOT_MAGIC)
		return false;
	return r->version != ARN_ROOT_VERSION || r->word_bytes != sizeof(void *) ||
	       target_read(t, f->addr, r, sizeof *r);
}

/* The program headers of the ELF image at BASE, of either word size; returns how many. */
static unsigned read_headers(struct target *t, uint64_t base, Elf64_Phdr *p)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} e;
	unsigned n = 0;

	if (!target_read(t, base, &e, sizeof e) || memcmp(e.ident, ELFMAG, SELFMAG) != 0)
		return 0;
	if (e.ident[EI_CLASS] == ELFCLASS64 && e.wide.e_phentsize == sizeof *p) {
		n = e.wide.e_phnum < HEADERS_MAX ? e.wide.e_phnum : HEADERS_MAX;
		if (!target_read(t, base + e.wide.e_phoff, p, n * sizeof *p))
			return 0;
	} else if (e.ident[EI_CLASS] == ELFCLASS32 && e.narrow.e_phentsize == sizeof(Elf32_Phdr)) {
		for (; n < e.narrow.e_phnum && n < HEADERS_MAX; n++) {
			Elf32_Phdr q;

			if (!target_read(t, base + e.narrow.e_phoff + n * sizeof q, &q, sizeof q))
				break;
			p[n] = (Elf64_Phdr){.p_type = q.p_type, .p_offset = q.p_offset,
					    .p_vaddr = q.p_vaddr, .p_memsz = q.p_memsz};
		}
	}
	return n;
}

/* Looks at the ELF image whose header is at BASE. */
static bool image_root(struct target *t, uint64_t base, struct found_root *f)
{
	Elf64_Phdr p[HEADERS_MAX];
	uint64_t lowest = UINT64_MAX, bias;
	bool found = false;
	unsigned n = read_headers(t, base, p);

	for (unsigned i = 0; i < n; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_offset == 0)
			lowest = p[i].p_vaddr;
	if (lowest == UINT64_MAX)
		return false;
	bias = base - (lowest & ~(uint64_t)(t->page_bytes - 1));
	for (unsigned i = 0; i < n; i++) {
		uint64_t desc;
		int64_t distance;

		if (p[i].p_type != PT_NOTE || found)
			continue;
		desc = find_note(t, bias + p[i].p_vaddr, p[i].p_memsz);
		if (desc == 0 || !target_read(t, desc, &distance, 8))
			continue;
		f->addr = desc + (uint64_t)distance;
		found = read_root(t, f);
	}
	if (found)
		check_root(f);
	return found;
}

unsigned roots_find(struct target *t, struct found_root *roots, unsigned *count)
{
	unsigned usable = 0;

	*count = 0;
	for (size_t i = 0; i < t->nareas && *count < ROOTS_MAX; i++) {
		struct area *a = &t->areas[i];
		struct found_root f = {.usable = false};

		if (a->offset != 0 || !a->file || !a->readable ||
		    !lies_mapped(t, a->start, sizeof(ElfW(Ehdr))) || !image_root(t, a->start, &f))
			continue;
		f.file = grab_text(a->name);
		usable += f.usable;
		roots[(*count)++] = f;
	}
	return usable;
}

void roots_free(struct found_root *roots, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(roots[i].file);
}
