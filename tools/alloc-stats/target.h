/* SPDX-License-Identifier: MIT
 *
 * target.h - the memory of another process, or of a core file: reading bytes by address, the list
 * of mapped areas, and which pages of them are resident.
 *
 * Bytes are read one page of 4 KiB at a time and kept until target_forget(): a structure that lies
 * in one page is seen as it was at one moment, and the same page is fetched once.  Reading a page
 * that the process never touched would make the kernel install the zero page there, which costs the
 * process nothing but a page-table entry; only pages that hold the allocator's own data are read.
 */
#ifndef STATS_TARGET_H
#define STATS_TARGET_H

#include <sys/types.h>

#include "util.h"

struct area {
	uint64_t start, end, offset;
	uint64_t rss, swap;   /* bytes, from smaps; 0 in a core */
	bool readable, writable, executable, file;
	char *name;           /* as in /proc/PID/maps; "" for anonymous memory */
	/* One byte for each OS page, filled at the first question about the area. */
	uint8_t *pages;
	double maybe_weight;  /* how much of a PAGE_MAYBE is in the resident set */
	bool asked;
};

enum page_flags {
	PAGE_OURS = 1,   /* resident, and of this process alone */
	PAGE_MAYBE = 2,  /* present: shared after a fork, or the zero page, which is not resident */
	PAGE_SWAPPED = 4,
};

struct target;
struct target_ops {
	/* All N bytes at ADDR, none of which cross a 4 KiB page; false: not readable. */
	bool (*read)(struct target *t, uint64_t addr, void *buf, size_t n);
	/* Fills t->areas; false with t->error. */
	bool (*list)(struct target *t, bool with_rss);
	/* Fills the flags of the pages of [start, end); false: unknown. */
	bool (*pages)(struct target *t, uint64_t start, uint64_t end, uint8_t *flags);
	void (*close)(struct target *t);
};

struct block_cache;
struct target {
	const struct target_ops *ops;
	pid_t pid;            /* 0: a core file */
	char *command;        /* short name of the program */
	char *error;          /* why the last call failed: one line, or NULL */
	int error_status;     /* EXIT_DENIED, EXIT_FAILED, ... */
	size_t page_bytes;    /* of the OS */
	struct area *areas;   /* by address */
	size_t nareas;
	struct block_cache *cache;
	int proc_fd, mem_fd, pagemap_fd;
	bool use_mem;         /* process_vm_readv does not exist here */
	uint64_t pages_asked;
	struct core_file *core;
};

/* NULL with a message on *ERROR and *STATUS. */
struct target *target_open_pid(pid_t pid, char **error, int *status);
struct target *target_open_core(const char *path, char **error, int *status);
void target_close(struct target *t);

/* Allocates what the two above have in common. */
struct target *target_new(const struct target_ops *ops);
void target_fail(struct target *t, int status, const char *format, ...) PRINTF_LIKE(3, 4);

/* All N bytes at ADDR, or false. */
bool target_read(struct target *t, uint64_t addr, void *buf, size_t n);
/* The next read of any byte asks the process again; or of these bytes only. */
void target_forget(struct target *t);
void target_refresh(struct target *t, uint64_t addr, size_t n);
bool target_list(struct target *t, bool with_rss);
void target_free_areas(struct target *t);
struct area *target_area(struct target *t, uint64_t addr);

/* Whether all of [ADDR, ADDR + N) is mapped. */
bool target_mapped(struct target *t, uint64_t addr, uint64_t n);
/* For each OS page of [START, END), which is mapped, the share of it that is resident, 0 to 1, or
 * -1 when it is swapped out.  False: not known, as in a core. */
bool target_residence(struct target *t, uint64_t start, uint64_t end, float *share);
/* The same for a range of any length, in sum; bytes in *SWAPPED too. */
bool target_resident_bytes(struct target *t, uint64_t start, uint64_t end, double *resident,
			   double *swapped);

/* A live process: whether it is still the one that was opened. */
bool target_alive(struct target *t);
/* The text of /proc/PID/NAME, or NULL. */
char *target_proc(struct target *t, const char *name);

#endif
