/* SPDX-License-Identifier: MIT
 *
 * snapshot.h - one picture of a heap, neutral to where it came from and to how it is shown.
 *
 * The definitions, also in libarena(7).  All in bytes; for a size class c with regions of s bytes:
 *
 *   active_c   = pages of its runs
 *   live_c     = s * regions that the program holds
 *   cached_c   = s * regions in thread caches, and freed by other threads but not yet sent
 *   empty_c    = s * regions that are free in their run
 *   tail_c     = bytes of its runs behind the last region
 *   active_c   = live_c + cached_c + empty_c + tail_c
 *
 *   internal fragmentation    with the option `stats`, of every recorded block what it has beyond its
 *                             request: internal; recorded is the size of these blocks.  Of the others
 *                             (live - recorded) at most internal_max, the sum over live regions of
 *                             s - s' - 1, where s' is the next smaller class, and what live.h says
 *                             of large and huge blocks
 *   external fragmentation    of c: empty_c / (live_c + cached_c + empty_c);
 *                             in bytes: sum of empty_c + tail_c
 *   page level                free pages inside chunks: dirty (resident, given back by the promise
 *                             or a trim) and clean (address space only)
 *   metadata                  slots cut from metadata blocks, and 12 bytes of the page map for each page
 *                             mapped; resident: of whole blocks and of all windows, old ones too
 *   blow-up                   peak resident / peak live, of the heap.  The kernel keeps the peak of the
 *                             whole process only, so this is an upper bound:
 *                             min(peak RSS - outside, peak mapped) / peak live
 *
 *   resident   = live + cached + fragmentation + dirty + clean + metadata + outside, the resident
 *                part of each: a page counts for what lies on it, by the byte.  Clean pages are
 *                resident where the kernel gave a huge page for a part of which there was no use.
 */
#ifndef STATS_SNAPSHOT_H
#define STATS_SNAPSHOT_H

#include "pagemap.h"
#include "root.h"
#include "target.h"

#define ROOTS_MAX 8

/* A bool that was read from elsewhere may hold any byte, which C does not allow it to. */
#define TRUTH(lvalue) (*(const unsigned char *)&(lvalue) != 0)

/* A libarena in the process: its root descriptor, read and checked. */
struct found_root {
	uint64_t addr;
	char *file;
	char version[17];
	bool usable;          /* of this version and layout */
	struct arn_root root;
};

struct class_row {
	uint32_t size;
	uint64_t runs, empty_runs;
	uint64_t regions;                    /* capacity of all runs */
	uint64_t live, cached, empty;        /* regions; their sum is `regions` */
	uint64_t active, tail;               /* bytes */
	uint64_t recorded, internal;         /* bytes: of blocks whose requests are known */
	double resident_out, resident_empty; /* bytes; out: live and cached ones */
};

struct heap_row {
	uint32_t id;
	uint8_t kind;
	bool parked;
	uint64_t out, cached;                /* bytes */
	uint64_t runs;
};

/* What a page of a chunk holds, for the map.  Small classes have their class number,
 * starter runs INFO_STARTER. */
enum page_use { USE_FREE = 0, USE_LARGE = 253, USE_DIRTY = 254, USE_TORN = 255 };

struct chunk_row {
	uint64_t base;
	uint16_t npages, used, dirty;
	bool huge_pages;
	double resident;
	uint8_t use[CHUNK_PAGES];
	uint8_t fill[CHUNK_PAGES];           /* of 255: live or cached part of its run */
	uint8_t in_ram[CHUNK_PAGES];         /* of 255 */
};

struct block_row {
	uint64_t base, size;
	bool cached;
	double resident;
};

/* Resident bytes by what they are; see the definitions above. */
struct parts {
	double live, cached, fragmentation, dirty, clean, metadata, outside, difference;
};

struct snapshot {
	pid_t pid;
	char *command;
	char version[17];
	double time;                         /* CLOCK_REALTIME */
	uint64_t start_ticks;                /* of the process, as in /proc/PID/stat */
	bool core;

	struct found_root roots[ROOTS_MAX];
	unsigned nroots;

	struct class_row cls[NCLASSES];      /* [0]: unused */
	struct heap_row *heaps;
	size_t nheaps, heaps_capacity;
	struct chunk_row *chunks;
	size_t nchunks, chunks_capacity;
	struct block_row *huge;
	size_t nhuge, huge_capacity;

	uint64_t live, cached, empty, tail, active;      /* whole heap */
	uint64_t starters, starter_out;      /* starter runs; bytes of the blocks in them */
	uint64_t small_live, large, large_blocks, huge_live, huge_blocks;
	uint64_t large_recorded, huge_recorded;
	uint64_t dirty, clean, metadata, metadata_used, mapped;
	uint64_t recorded, internal, internal_max;
	uint64_t peak_live, peak_active, peak_mapped, purged, mismatches, threads, parked;

	bool resident_known;
	struct parts part;
	double live_swapped, live_untouched; /* bytes of live blocks that are not resident */
	uint64_t rss, pss, swap, peak_rss;   /* of the process, from the kernel */

	uint64_t torn;                       /* pieces that could not be read consistently */
	unsigned attempts;
	double seconds;                      /* that the reading took */
};

/* Finds every libarena in T, whose areas are listed.  Returns how many are usable; the others
 * have a version. */
unsigned roots_find(struct target *t, struct found_root *roots, unsigned *count);
void roots_free(struct found_root *roots, unsigned count);
/* Why one is not usable; the caller frees. */
char *root_refusal(const struct found_root *f);

/* Reads the heap of T; NULL: t->error says why.  Torn pictures are taken again. */
struct snapshot *snapshot_take(struct target *t);
void snapshot_free(struct snapshot *s);
/* The bound of the blow-up, or 0 when it is not known. */
double snapshot_blow_up(const struct snapshot *s);

/* The cheap figures of one moment, for plots: no runs are read.  False: T is gone. */
struct quick {
	double time;
	uint64_t rss, live, active, mapped, dirty;
};
bool quick_take(struct target *t, const struct found_root *roots, unsigned count, struct quick *q);

/* ---- between the files that walk ------------------------------------------------------------ */

struct walk {
	struct target *t;
	struct snapshot *s;
	const struct arn_root *root;
	uint32_t size[NCLASSES];
	uint64_t room;        /* pages of chunks that may still be seen: bounds lies */
	uint64_t map_infos;   /* address of info[0] of the page map, and of its end */
	uint64_t map_end, map_pages;
	struct live_row rows[LIVE_ROWS];
	struct mark *marks;   /* [start, end) of metadata that was met */
	size_t nmarks, marks_capacity;
	uint64_t *held; /* starter blocks that heaps have at hand, by address */
	size_t nheld, held_capacity;
	float share[CHUNK_BYTES / 4096];
};
struct mark {
	uint64_t start, end;
};

/* A walk along a linked list that may be torn, cyclic or a lie; all zero at the start. */
struct list_walk {
	uint64_t seen;
	uint32_t steps;
};
/* True while NODE is worth reading. */
bool list_next(struct list_walk *l, uint64_t node);

void walk_mark(struct walk *w, uint64_t start, uint64_t bytes);
/* Whether a heap has the starter block at that address at hand; when all heaps were walked. */
bool walk_holds(const struct walk *w, uint64_t block);
/* chunks.c: all chunks and what lies in them. */
bool walk_chunks(struct walk *w);
/* metadata.c: the page map and what the allocator keeps for itself.  Before the others. */
void walk_metadata(struct walk *w);
/* Resident parts of what the walk of chunks does not see, and the kernel's figures. */
void residence_finish(struct walk *w);

#endif
