/* SPDX-License-Identifier: MIT
 *
 * arena-preload: the refusals.  Each is a condition under which an entry in
 * ld.so.preload is known to hurt, found out by looking only.
 */
#include "preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The name of the allocator that a mapped or listed file is, or NULL. */
const char *ap_foreign_malloc(const char *path)
{
	static const char *const names[] = {
		"jemalloc", "mimalloc", "tcmalloc", "hardened_malloc", "snmalloc", "rpmalloc",
		"scudo", "ltalloc", "tbbmalloc", "hoard", "dlmalloc", "Mesh", "umem",
	};
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(base, "lib", 3) == 0 && strncmp(base + 3, names[i], strlen(names[i])) == 0)
			return names[i];
	return NULL;
}

static unsigned refuse_place(const struct ap *a)
{
	static const char *const writable[] = { "/etc", "/usr" };
	unsigned bad = 0;

	if (!ap_exists(a, "/proc/self/exe")) {
		ap_warn("refused: %s/proc is not mounted (a chroot?)", a->root);
		bad++;
	}
	for (size_t i = 0; i < sizeof(writable) / sizeof(*writable); i++) {
		char *path = ap_path(a, writable[i]);
		struct statvfs vfs;

		if (statvfs(path, &vfs) != 0) {
			ap_warn_errno(errno, "refused: %s", path);
			bad++;
		} else if (vfs.f_flag & ST_RDONLY) {
			ap_warn("refused: %s is on a read-only file system", path);
			bad++;
		}
		free(path);
	}
	return bad;
}

static unsigned refuse_entry(const struct ap *a)
{
	const char *e = a->entry, *dollar = strchr(e, '$');

	if (*e != '/') {
		/* dl-load.c: a name without a path is refused to setuid programs. */
		ap_warn("refused: %s is not an absolute path", e);
		return 1;
	}
	if (e[strcspn(e, " \t\n:#")]) {
		ap_warn("refused: ld.so.preload cannot hold the name \"%s\"", e);
		return 1;
	}
	if (dollar && strncmp(dollar, "$LIB/", 5) != 0 && strncmp(dollar, "${LIB}/", 7) != 0) {
		ap_warn("refused: %s: only $LIB is the same for every program", e);
		return 1;
	}
	return 0;
}

static unsigned refuse_library(const struct ap *a, const struct ap_abi *abi)
{
	char *lib = ap_abi_expand(a->entry, abi), *path = ap_path(a, lib);
	unsigned elf_class = 0, machine = 0, bad = 1;
	int err = ap_elf_identify(path, &elf_class, &machine);
	struct stat st;

	if (err)
		ap_warn_errno(err, "refused: %s, for the programs of %s/libc.so.6", path, abi->lib);
	else if (elf_class != abi->elf_class || machine != abi->machine)
		ap_warn("refused: %s is of another architecture than %s/libc.so.6", path, abi->lib);
	else if (stat(path, &st) != 0 || st.st_uid != 0 || (st.st_mode & 022))
		ap_warn("refused: %s can be changed by others than root", path);
	else if (ap_elf_defines(path, "malloc") != 1)
		ap_warn("refused: %s does not define malloc", path);
	else
		bad = 0;
	free(path);
	free(lib);
	return bad;
}

static unsigned refuse_libraries(const struct ap *a)
{
	struct ap_abi abis[AP_MAX_ABIS];
	size_t n = ap_abi_list(a, abis, AP_MAX_ABIS);
	unsigned bad = 0;
	char *native;

	for (size_t i = 0; i < n; i++)
		bad += refuse_library(a, &abis[i]);
	native = ap_native_library(a);
	if (!native) {
		ap_warn("refused: no C library of this machine's kind found below %s/", a->root);
		bad++;
	} else if (strcmp(a->entry, AP_ENTRY) == 0 && !ap_exists(a, native) &&
		   ap_exists(a, AP_LIBRARY)) {
		/* installed below another prefix */
		ap_warn("this build's library is named by --library=%s", AP_LIBRARY);
	}
	free(native);
	if (!ap_exists(a, AP_CHECK)) {
		ap_warn("refused: %s%s, the check program, is missing", a->root, AP_CHECK);
		bad++;
	}
	return bad;
}

/* Two mallocs in one process are a lottery: refuse every listed one but our own. */
static unsigned refuse_listed(const struct ap *a)
{
	char *path = ap_path(a, AP_FILE);
	struct ap_abi abis[AP_MAX_ABIS];
	size_t nabis = ap_abi_list(a, abis, AP_MAX_ABIS), pos = 0, len;
	struct ap_text t;
	const char *word;
	unsigned bad = 0;
	int err = ap_file_read(path, &t);

	if (err) {
		/* ELOOP: a symbolic link, whose owner would not expect a file in its place */
		ap_warn_errno(err, "refused: %s", path);
		bad++;
	}
	while (!err && ap_edit_next(&t, &pos, &word, &len)) {
		char *name = strndup(word, len);
		bool other = ap_foreign_malloc(name) != NULL;

		for (size_t i = 0; i < nabis && !other && *name == '/'; i++) {
			char *lib = ap_abi_expand(name, &abis[i]), *full = ap_path(a, lib);

			other = ap_elf_defines(full, "malloc") == 1;
			free(full);
			free(lib);
		}
		if (other && !ap_match_ours(word, len, a)) {
			ap_warn("refused: %s lists another malloc, %s", path, name);
			bad++;
		}
		free(name);
	}
	ap_text_free(&t);
	free(path);
	return bad;
}

/* Says each reason; returns how many. */
unsigned ap_check_refusals(const struct ap *a)
{
	unsigned bad = refuse_place(a) + refuse_entry(a);

	if (geteuid() != 0) {
		ap_warn("refused: only root can do this");
		bad++;
	}
	if (!bad)
		bad = refuse_libraries(a) + refuse_listed(a);
	return bad;
}
