/* SPDX-License-Identifier: MIT
 *
 * arena-preload: which C libraries a system has, and what a library file defines.
 *
 * The entry is one word for every architecture: each installed ld.so puts its own
 * directory in place of $LIB.  So each installed libc must find a libarena of its
 * own kind there, or every program of that kind complains on stderr.
 */
#include "preload.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct image {
	const unsigned char *data;
	size_t len;
};

static int map_image(const char *path, struct image *im)
{
	struct stat st;
	int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	if (fstat(fd, &st) != 0) {
		err = errno;
	} else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr)) {
		err = ENOEXEC;
	} else {
		im->len = (size_t)st.st_size;
		im->data = mmap(NULL, im->len, PROT_READ, MAP_PRIVATE, fd, 0);
		if (im->data == MAP_FAILED)
			err = errno;
		else if (memcmp(im->data, ELFMAG, SELFMAG) != 0) {
			munmap((void *)im->data, im->len);
			err = ENOEXEC;
		}
	}
	close(fd);
	return err;
}

int ap_elf_identify(const char *path, unsigned *elf_class, unsigned *machine)
{
	struct image im;
	int err = map_image(path, &im);

	if (err)
		return err;
	*elf_class = im.data[EI_CLASS];
	/* e_machine has the same place in both classes; a foreign byte order only
	 * has to give the same wrong number for libc and for us. */
	*machine = ((const Elf32_Ehdr *)im.data)->e_machine;
	munmap((void *)im.data, im.len);
	return 0;
}

struct section {
	uint64_t off, size, entsize;
	uint32_t type, link;
};

static bool read_section(const struct image *im, unsigned i, struct section *s)
{
	if (im->data[EI_CLASS] == ELFCLASS64) {
		const Elf64_Ehdr *e = (const void *)im->data;
		Elf64_Shdr h;

		if (i >= e->e_shnum || e->e_shoff > im->len ||
		    (i + 1) * sizeof(h) > im->len - e->e_shoff)
			return false;
		memcpy(&h, im->data + e->e_shoff + i * sizeof(h), sizeof(h));
		*s = (struct section){ h.sh_offset, h.sh_size, h.sh_entsize, h.sh_type, h.sh_link };
	} else {
		const Elf32_Ehdr *e = (const void *)im->data;
		Elf32_Shdr h;

		if (i >= e->e_shnum || e->e_shoff > im->len ||
		    (i + 1) * sizeof(h) > im->len - e->e_shoff)
			return false;
		memcpy(&h, im->data + e->e_shoff + i * sizeof(h), sizeof(h));
		*s = (struct section){ h.sh_offset, h.sh_size, h.sh_entsize, h.sh_type, h.sh_link };
	}
	return s->type == SHT_NOBITS || (s->off <= im->len && s->size <= im->len - s->off);
}

static bool symbol_is(const struct image *im, const struct section *syms,
		      const struct section *names, uint64_t i, const char *symbol)
{
	const unsigned char *p = im->data + syms->off + i * syms->entsize;
	size_t n = strlen(symbol) + 1;
	uint32_t name;
	uint16_t shndx;

	if (im->data[EI_CLASS] == ELFCLASS64) {
		Elf64_Sym s;

		memcpy(&s, p, sizeof(s));
		name = s.st_name;
		shndx = s.st_shndx;
	} else {
		Elf32_Sym s;

		memcpy(&s, p, sizeof(s));
		name = s.st_name;
		shndx = s.st_shndx;
	}
	return shndx != SHN_UNDEF && name < names->size && n <= names->size - name &&
	       memcmp(im->data + names->off + name, symbol, n) == 0;
}

/* 1: the library defines the symbol, 0: it does not, -1: not a library we can read. */
int ap_elf_defines(const char *path, const char *symbol)
{
	struct section syms, names;
	struct image im;
	int found = 0;

	if (map_image(path, &im) != 0)
		return -1;
	for (unsigned i = 0; !found && read_section(&im, i, &syms); i++) {
		size_t least = im.data[EI_CLASS] == ELFCLASS64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);

		if (syms.type != SHT_DYNSYM || syms.entsize < least ||
		    !read_section(&im, syms.link, &names))
			continue;
		for (uint64_t k = 0; !found && k < syms.size / syms.entsize; k++)
			found = symbol_is(&im, &syms, &names, k, symbol);
	}
	munmap((void *)im.data, im.len);
	return found;
}

/* Every libc.so.6 where Debian's and others' ld.so look: multiarch, biarch, plain. */
size_t ap_abi_list(const struct ap *a, struct ap_abi *abis, size_t max)
{
	static const char *const patterns[] = {
		"/usr/lib/*/libc.so.6", "/lib/*/libc.so.6", "/usr/lib*/libc.so.6", "/lib*/libc.so.6",
	};
	size_t n = 0;

	for (size_t k = 0; k < sizeof(patterns) / sizeof(*patterns); k++) {
		char *pattern = ap_path(a, patterns[k]);
		glob_t g;

		if (glob(pattern, GLOB_NOSORT, NULL, &g) != 0) {
			free(pattern);
			continue;
		}
		for (size_t i = 0; i < g.gl_pathc && n < max; i++) {
			const char *p = g.gl_pathv[i] + strlen(a->root);
			struct ap_abi abi = { .lib = "" };
			size_t j;

			p += strncmp(p, "/usr/", 5) == 0 ? 5 : 1;
			snprintf(abi.lib, sizeof(abi.lib), "%.*s",
				 (int)(strlen(p) - strlen("/libc.so.6")), p);
			for (j = 0; j < n && strcmp(abis[j].lib, abi.lib) != 0; j++)
				;
			if (j == n && ap_elf_identify(g.gl_pathv[i], &abi.elf_class, &abi.machine) == 0)
				abis[n++] = abi;
		}
		globfree(&g);
		free(pattern);
	}
	return n;
}

char *ap_abi_expand(const char *entry, const struct ap_abi *abi)
{
	const char *p = strstr(entry, "$LIB");
	size_t skip = 4;

	if (!p) {
		p = strstr(entry, "${LIB}");
		skip = 6;
	}
	if (!p)
		return ap_format("%s", entry);
	return ap_format("%.*s%s%s", (int)(p - entry), entry, abi->lib, p + skip);
}

/* Path of the library that programs of our own kind get, without root. */
char *ap_native_library(const struct ap *a)
{
	struct ap_abi abis[AP_MAX_ABIS];
	size_t n = ap_abi_list(a, abis, AP_MAX_ABIS);
	unsigned elf_class, machine;
	char *check = ap_path(a, AP_CHECK), *lib = NULL;

	if (ap_elf_identify(check, &elf_class, &machine) != 0 &&
	    ap_elf_identify("/proc/self/exe", &elf_class, &machine) != 0)
		n = 0;
	for (size_t i = 0; i < n && !lib; i++)
		if (abis[i].elf_class == elf_class && abis[i].machine == machine)
			lib = ap_abi_expand(a->entry, &abis[i]);
	free(check);
	return lib;
}
