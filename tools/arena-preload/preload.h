/* SPDX-License-Identifier: MIT
 *
 * arena-preload: what its files share.
 *
 * The program edits one line of /etc/ld.so.preload, a file which every exec of
 * every dynamic program reads.  It is linked statically, so nothing it writes
 * there can stop it from running.  Layers, low to high:
 *	util  file edit elf | check selftest private_etc | trial guard | enable status scope rescue | main
 * A function that can fail returns 0 or an errno value unless it says otherwise.
 */
#ifndef ARENA_PRELOAD_H
#define ARENA_PRELOAD_H

/* First of all: _FILE_OFFSET_BITS, without which stat fails on big inode numbers. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#else
#define PACKAGE_VERSION "(built by hand)"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AP_ENTRY "/usr/$LIB/libarena.so.0"
#define AP_FILE "/etc/ld.so.preload"
/* Beside the file and not in /var: the initramfs sees the root file system only. */
#define AP_BOOTS AP_FILE ".arena-boots"
#define AP_BACKUP AP_FILE ".arena-old"
#define AP_RUN "/run/arena-preload"
#define AP_TRIAL_FILE AP_RUN "/ld.so.preload"
#define AP_TRIAL_STATE AP_RUN "/trial"
#define AP_GUARD_SEEN AP_RUN "/boot-guard"
#define AP_RECORD "/var/lib/arena/trial"
#define AP_TRIAL_UNIT "arena-preload-trial.service"
#define AP_BOOTED_UNIT "arena-preload-booted.service"

#ifndef AP_LIBEXECDIR
#define AP_LIBEXECDIR "/usr/libexec/arena"
#define AP_LIBRARY "/usr/lib/libarena.so.0"
#define AP_UNITDIR "/usr/lib/systemd/system"
#define AP_INITRAMFSDIR "/usr/share/initramfs-tools"
#endif
#define AP_CHECK AP_LIBEXECDIR "/preload-check"

/* Two failed boots: one may be a power cut, two in a row are a pattern. */
enum { AP_MAX_FAILED_BOOTS = 2 };
/* Ten minutes: long enough to log in again, short enough to wait for locked out. */
enum { AP_TRIAL_SECONDS = 600 };
/* Longest we let one self-test program run; systemd-analyze needs the most, about 2 s. */
enum { AP_TEST_SECONDS = 30 };

struct ap {
	const char *root;     /* "" or the directory of another system, no trailing slash */
	const char *entry;    /* the word to put into the file */
	bool last;            /* after the other entries instead of before them */
	bool root_only;       /* mode 0600: only root's programs can read the file */
	bool yes;             /* straight to the disk, no trial */
	bool no_guard;        /* go on where no boot guard can work */
	bool verbose;
	unsigned seconds;     /* length of a trial */
	int lock_fd;
};

/* The content of a small file; absent is different from empty. */
struct ap_text {
	char *data;
	size_t len;
	mode_t mode;
	bool exists;
};

/* util.c */
extern const char ap_name[];
__attribute__((format(printf, 1, 2))) void ap_say(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void ap_warn(const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void ap_warn_errno(int err, const char *fmt, ...);
void *ap_alloc(size_t n);
__attribute__((format(printf, 1, 2))) char *ap_format(const char *fmt, ...);
char *ap_path(const struct ap *a, const char *path);
bool ap_exists(const struct ap *a, const char *path);
int ap_make_dirs(const char *path);
int ap_lock(struct ap *a);
void ap_unlock(struct ap *a);
int ap_run_quiet(const struct ap *a, char *const argv[]);

/* file.c */
int ap_file_read(const char *path, struct ap_text *t);
int ap_file_write(const char *path, const void *data, size_t len, mode_t mode);
int ap_file_remove(const char *path);
void ap_text_free(struct ap_text *t);
bool ap_text_equal(const struct ap_text *x, const struct ap_text *y);
int ap_store(const struct ap *a, const struct ap_text *old, const struct ap_text *new_text);
int ap_restore(const struct ap *a, const struct ap_text *old);

/* edit.c: pure functions on texts */
typedef bool ap_match_fn(const char *word, size_t len, const void *ctx);
bool ap_edit_next(const struct ap_text *t, size_t *pos, const char **word, size_t *len);
bool ap_edit_has(const struct ap_text *t, ap_match_fn *match, const void *ctx);
void ap_edit_add(const struct ap_text *t, const char *entry, bool last, mode_t mode,
		 struct ap_text *out);
void ap_edit_remove(const struct ap_text *t, ap_match_fn *match, const void *ctx,
		    struct ap_text *out);
bool ap_edit_misread(const struct ap_text *t);
ap_match_fn ap_match_ours;	/* ctx: struct ap */

/* elf.c */
struct ap_abi {
	char lib[96];		/* what ld.so puts in place of $LIB */
	unsigned elf_class, machine;
};
enum { AP_MAX_ABIS = 16 };
int ap_elf_identify(const char *path, unsigned *elf_class, unsigned *machine);
int ap_elf_defines(const char *path, const char *symbol);
size_t ap_abi_list(const struct ap *a, struct ap_abi *abis, size_t max);
char *ap_abi_expand(const char *entry, const struct ap_abi *abi);
char *ap_native_library(const struct ap *a);

/* check.c */
unsigned ap_check_refusals(const struct ap *a);
const char *ap_foreign_malloc(const char *path);

/* selftest.c */
int ap_selftest_env(const struct ap *a);
int ap_selftest_file(const struct ap *a, const struct ap_text *new_text);
int ap_selftest_plain(const struct ap *a);

/* private_etc.c */
int ap_private_mounts(void);
int ap_private_etc(const struct ap *a, const struct ap_text *new_text, const char *setuid_copy);

/* trial.c */
struct ap_trial {
	char token[40];		/* the boot id tells a trial of this boot from one cut short */
	long long deadline;	/* CLOCK_BOOTTIME seconds: sleeping counts */
	bool made_file;		/* there was no file: an empty one was made as mount point */
};
bool ap_trial_active(const struct ap *a, struct ap_trial *t);
bool ap_trial_mounted(const struct ap *a);
int ap_trial_start(const struct ap *a, const struct ap_text *new_text);
int ap_trial_end(const struct ap *a);
int ap_trial_uncover(const struct ap *a);
void ap_trial_forget(const struct ap *a);
void ap_trial_clear(const struct ap *a);
int ap_cmd_trial_end(struct ap *a);
int ap_trial_runner(struct ap *a);
bool ap_trial_record(const struct ap *a, char *when, size_t size);

/* guard.c */
bool ap_systemd_booted(const struct ap *a);
int ap_guard_arm(const struct ap *a);
unsigned ap_guard_failed_boots(const struct ap *a);
bool ap_make_writable(const struct ap *a);
void ap_make_read_only(const struct ap *a);
int ap_cmd_boot_count(struct ap *a);
int ap_cmd_boot_good(struct ap *a);

/* commands: exit status */
int ap_cmd_check(struct ap *a);
int ap_cmd_enable(struct ap *a);
int ap_cmd_disable(struct ap *a);
int ap_cmd_confirm(struct ap *a);
int ap_cmd_clean(struct ap *a, const char *triplet);
int ap_cmd_status(struct ap *a);
int ap_cmd_unit(struct ap *a, const char *name, const char *what);
int ap_cmd_user(struct ap *a, const char *what);
void ap_units_clean(const struct ap *a);
int ap_cmd_run_without(struct ap *a, char *const argv[]);
int ap_rescue(struct ap *a, char *const argv[]);

#endif
