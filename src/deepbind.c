/* SPDX-License-Identifier: MIT
 *
 * deepbind.c - libraries opened with RTLD_DEEPBIND (php's extensions, sssd's modules).
 * Layer override; only in the shared library.
 *
 * Such a library looks its symbols up in its own dependencies first, finds libc's malloc there, and
 * then frees with it what the program allocated with ours.  So before the first one is opened,
 * libc's own symbol table is made to say that malloc is ours: the values of the family's names in
 * libc's .dynsym are replaced.  That costs nothing in a process that never asks for DEEPBIND, keeps
 * what DEEPBIND means for every other symbol, and makes dlsym() on libc's handle agree.  The table
 * is read-only memory without code: two mprotect calls, never PROT_EXEC.  Where that is refused, or
 * the table shares a segment with code (some architectures), the flag is dropped instead.
 *
 * The real dlopen is called as a tail call: it looks at its return address to know its caller
 * (RUNPATH, namespace).
 */
#include "compiler.h" /* first: it asks the system headers for RTLD_NEXT and dl_iterate_phdr */

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "init.h"
#include "lock.h"
#include "os.h"
#include "override.h"

#ifdef PIC

static struct lock patch_lock;
static enum { UNTRIED, PATCHED, REFUSED } state;

struct libc {
	ElfW(Addr) base;
	ElfW(Sym) * symbols;
	size_t nsymbols;
	const char *strings;
	bool with_code; /* the table's segment is executable */
};

/* How many symbols a GNU hash table knows: one more than the last of the last chain. */
static size_t count_symbols(const uint32_t *hash)
{
	uint32_t nbuckets = hash[0], first = hash[1], nbloom = hash[2], last = 0;
	const uint32_t *buckets = hash + 4 + nbloom * (sizeof(ElfW(Addr)) / 4);
	const uint32_t *chains = buckets + nbuckets;

	for (uint32_t i = 0; i < nbuckets; i++)
		if (buckets[i] > last)
			last = buckets[i];
	if (last < first)
		return 0;
	while ((chains[last - first] & 1) == 0)
		last++;
	return last + 1;
}

/* Not strcmp: each name of libc's is a look-up in every exec. */
static bool same(const char *a, const char *b)
{
	for (; *a == *b; a++, b++)
		if (*a == '\0')
			return true;
	return false;
}

static bool is_libc(const char *path)
{
	const char *name = path;

	for (; *path != '\0'; path++)
		if (*path == '/')
			name = path + 1;
	return same(name, "libc.so.6");
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct libc *c = arg;
	const ElfW(Dyn) *dyn = NULL;

	(void)size;
	if (!is_libc(info->dlpi_name))
		return 0;
	c->base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dyn = (const ElfW(Dyn) *)(c->base + info->dlpi_phdr[i].p_vaddr);
	for (; dyn != NULL && dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			c->symbols = (ElfW(Sym) *)dyn->d_un.d_ptr;
		else if (dyn->d_tag == DT_STRTAB)
			c->strings = (const char *)dyn->d_un.d_ptr;
		else if (dyn->d_tag == DT_GNU_HASH)
			c->nsymbols = count_symbols((const uint32_t *)dyn->d_un.d_ptr);
	}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t off = (uintptr_t)c->symbols - (c->base + p->p_vaddr);

		if (p->p_type == PT_LOAD && off < p->p_memsz)
			c->with_code = (p->p_flags & PF_X) != 0;
	}
	return 1;
}

static const struct override_name *find_name(const char *name)
{
	for (const struct override_name *n = arn_override_names; n->name != NULL; n++)
		if (same(n->name, name))
			return n;
	return NULL;
}

static ARN_COLD bool patch(void)
{
	int (*iterate)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
	struct libc c = {.base = 0};
	uintptr_t from, to, page = arn_os_page_bytes();

	iterate = (int (*)(int (*)(struct dl_phdr_info *, size_t, void *), void *))dlsym(
		RTLD_NEXT, "dl_iterate_phdr");
	if (iterate == NULL || iterate(find_libc, &c) == 0 || c.symbols == NULL ||
	    c.strings == NULL || c.nsymbols == 0 || c.with_code)
		return false;
	from = (uintptr_t)c.symbols & -page;
	to = ((uintptr_t)(c.symbols + c.nsymbols) + page - 1) & -page;
	if (!arn_os_protect((void *)from, to - from, true))
		return false;
	for (size_t i = 0; i < c.nsymbols; i++) {
		const struct override_name *n;

		if (c.symbols[i].st_shndx == SHN_UNDEF)
			continue;
		n = find_name(c.strings + c.symbols[i].st_name);
		/* The loader adds libc's base; the sum wraps to our address. */
		if (n != NULL)
			c.symbols[i].st_value = (uintptr_t)n->function - c.base;
	}
	arn_os_protect((void *)from, to - from, false);
	return true;
}

ARN_EXPORT void *dlopen(const char *file, int mode)
{
	static void *(*_Atomic real)(const char *, int);

	if (real == NULL)
		real = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
	/* In a program that was handed back, all of us is libc's malloc anyway. */
	if (unlikely(mode & RTLD_DEEPBIND) && arn_serves()) {
		lock_take(&patch_lock);
		if (state == UNTRIED)
			state = patch() ? PATCHED : REFUSED;
		lock_drop(&patch_lock);
		if (state == REFUSED)
			mode &= ~RTLD_DEEPBIND;
	}
	return real(file, mode);
}

#endif
