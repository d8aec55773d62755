/* SPDX-License-Identifier: MIT
 *
 * tuning.h - every number of the design, each with its reason.  Layer base.
 */
#ifndef ARN_TUNING_H
#define ARN_TUNING_H

#include "compiler.h"

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

/* Every block is aligned to 16 bytes: glibc does it for every size, and programs rely on it. */
#define QUANTUM_SHIFT 4
#define QUANTUM       ((size_t)1 << QUANTUM_SHIFT)

/* Sizes to 512 have one class per quantum, so that the class is the size divided by 16: no table,
 * two instructions fewer, and at most 15 bytes lost.  Above, five classes per doubling lose at
 * most a sixth; the one of 9/8 alone made sqlite3 8% smaller, whose pages of 4096 bytes have a
 * header, and z3 5%. */
#define DIRECT_MAX ((size_t)512)
#define NDIRECT    (DIRECT_MAX / QUANTUM)

/* Regions to 32 KiB live in runs; larger blocks are spans of pages. */
#define SMALL_MAX (32 * KIB)

/* Class 0 does not exist (its bin is always empty, which sends malloc(0) to the slow half);
 * 32 direct classes, then 5 for each of 1, 2, 4, 8, 16 and 32 KiB. */
#define NCLASSES 63

/* Our page: the unit in which a pointer is decoded.  16 KiB: 4 KiB would quadruple the page map,
 * 64 KiB would give each class of a tiny process 64 KiB of address space to spread in. */
#define PAGE_SHIFT 14
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)

/* A chunk: two huge pages, so that an aligned one can be backed by them; 2 MiB measured equal,
 * 16 MiB slower (DESIGN figures of the prototype). */
#define CHUNK_SHIFT 22
#define CHUNK_BYTES ((size_t)1 << CHUNK_SHIFT)
#define CHUNK_PAGES (CHUNK_BYTES / PAGE_BYTES)

/* The common huge page; larger blocks that may have some are aligned to it. */
#define HUGE_PAGE_BYTES (2 * MIB)
#define HUGE_PAGE_PAGES ((unsigned)(HUGE_PAGE_BYTES / PAGE_BYTES))

/* The first chunk of a process is small: many processes need no more, and pay no page map but
 * seven lines of .bss for it; `ulimit -v` and mlockall() programs do not pay for more. */
#define FIRST_CHUNK_PAGES 32

/* Blocks to a whole chunk are spans in chunks; larger ones have a mapping of their own.  With
 * half a chunk, buffers of 32 KiB to 4 MiB had two pools, each with a peak of its own: 53.5 MiB and
 * 19 thousand faults instead of 44 and 14 (mimalloc 48 and 12). */
#define LARGE_MAX       CHUNK_BYTES
#define LARGE_MAX_PAGES (LARGE_MAX / PAGE_BYTES)

/* Of freed large blocks so many slots wait for the next ones (a program that swaps one buffer for
 * another needs one), and so many spans of up to 128 KiB: zlib takes four of 64 KiB for each
 * stream, git-repack 320 times.  Not before 16 of that length were asked for: lua, whose growing
 * arrays leave one of each length, had a fifth more page faults. */
#define SPARE_SLOTS 8
#define SPARE_SPANS 16
#define SPARE_PAGES 8
#define SPARE_ASKED 16

/* A large block that realloc had to move begins the longest row, so that the next steps need no
 * copy, when it is a sixteenth of all that is in use: then few can.  200 growing vectors have 29.6
 * MiB resident, 33 with a thirty-second, 37 without a limit (30.7 without all this). */
#define GROWS_SHIFT 4

/* A run has at most 1024 regions: 16 words of bitmap.  Its size doubles with the number of runs
 * that the bin has, up to a limit by class: small first runs keep small processes small, large
 * later ones amortise the page allocator. */
#define RUN_REGIONS_MAX 1024

/* The first regions of each class lie together, in starter runs (starter.h): of bash's 25 classes
 * 17 see 12 mallocs or fewer in a life.  A class leaves them with its 13th region at a time, with 4
 * KiB of it (larger regions share few OS pages), or after so many mallocs, since each costs 350
 * instructions with its free instead of 33, or 131 where it takes the block that was freed last;
 * so the first counts two, the second one: 32 in the first heap, whose thread lives as long as its
 * process does, where they save half of the pages that a shell script touches more than under
 * glibc; 64 from 128 bytes on, where a run of its own for few blocks wastes most (40 KiB of a
 * booted system; half of it has 0.1% fewer instructions in git diff, and 16 KiB more); 24 in
 * others, and 1 KiB, or a thousand busy threads would need twice the time to begin. */
#define STARTER_LIVE        12
#define STARTER_FRESH       2
#define STARTER_TAKES_FIRST 32
#define STARTER_TAKES_RARE  64
#define STARTER_RARE        128
#define STARTER_TAKES       24
#define STARTER_BYTES_FIRST (4 * KIB)
#define STARTER_BYTES       (1 * KIB)
/* What a class has outgrown serves the next: with 4 runs apache began 92 KiB of others, with 16 it
 * is the same as with 8. */
#define STARTER_RUNS_FIRST 8
#define STARTER_RUNS       2
/* Blocks go forward through so much, an OS page, before what was freed serves again. */
#define STARTER_STEP (4 * KIB)

/* tcache bins: the array starts at 15 pointers, has 31 after some refills (most classes need no
 * more than the first: 58 KiB of a booted system with 26 processes), and doubles on overflow,
 * without a flush, to 8191 pointers or these bytes of regions.  The largest single win of the
 * prototype (-25 to -45% on batches of small blocks); 8191 instead of 2047 saves perl and python3
 * another 0.1 to 0.2% of all instructions (doc/performance.md).  Above 1 KiB filling a region costs
 * far more than a refill, and 24 bins of 256 KiB made a thread 6 MiB heavier for nothing. */
#define TCACHE_CAP_FIRST   15
#define TCACHE_CAP_MAX     8192
#define TCACHE_BYTES_SMALL (256 * KIB)
#define TCACHE_BYTES_LARGE (64 * KIB)
#define TCACHE_CAP_MIN     8
/* A bin whose regions lie scattered over more than this, while few others of their class are live,
 * may be all that keeps that much memory: 8191 regions on as many OS pages would pin 32 MiB.
 */
#define TCACHE_PIN_BYTES (1 * MIB)

/* A refill starts at 16 regions and doubles to 128 or 64 KiB. */
#define REFILL_FIRST     16
#define REFILL_MAX       128
#define REFILL_BYTES_MAX (64 * KIB)

/* Remote frees are gathered per bitmap word in a table of the freeing thread: 64 slots measured
 * 13.8 ns per free, 16 slots 19-22 ns.  Each word has two that it may be in: with one, two classes
 * of fifteen on average sent each other off all the time (a ninth of pipe's frees).  Only classes
 * to 1 KiB are gathered, so that a sleeping thread pins at most 64 words of 64 regions. */
#define COMBINE_SLOTS    64
#define COMBINE_SIZE_MAX (1 * KIB)

/* A refill takes in what others have freed of so many runs: each costs some cache misses, together
 * most of a microsecond, and all that two threads exchange were ten times as many. */
#define COLLECT_RUNS 4

/* When a remote freer has given this many bytes to a heap whose owner has not collected, it
 * collects on the owner's behalf; and whenever it freed the last region of a run. */
#define HELP_BYTES (1 * MIB)
/* Below this much the owner is taken to be awake, and runs that became free are left to it. */
#define HELP_RUNS_BYTES (64 * KIB)

/* The address window that the page map covers as soon as there is more than the first chunk; it
 * doubles when a mapping falls outside.  1 GiB is 768 KiB of address space, of which one OS page is
 * touched. */
#define WINDOW_MAPPED (1 * GIB)

/* Dirty (free but resident) pages are bounded by an eighth of the pages in use, plus a fixed part,
 * the option dirty_kib, plus up to 64 MiB where the same pages are wanted again and again: a loop
 * over 64 MiB keeps them.  See promise.h. */
#define DIRTY_SHIFT     3
#define DIRTY_EXTRA_MAX (64 * MIB)
/* Blocks come and go in few, large pieces, and rows must be free where the next one fits.  Ten runs
 * of buffers-touched with 8 to 32 blocks: 166 thousand faults with 3, 152 with 4, 142 with 6, 138
 * with 8, all with the same memory.  Not so for runs and for growth in place: with 2 sqlite3 had
 * 23.5 MiB at its peak instead of 21.5, and no fault less. */
#define BLOCK_REGRET 6
/* Dirty pages are offered to the kernel when a quarter as much came fresh: an offer is a tenth of a
 * fault. */
#define OFFER_SHIFT 2
/* Free OS pages inside of runs: each heap may keep its share of the same bound, and at least so
 * much that looking for them, some instructions a run, does not come at every flush. */
#define HEAP_SHARE_MIN (256 * KIB)
/* Shorter free rows are left: a run that is being emptied in random order has many of them for a
 * moment, and a system call for each would cost bursts of threads more than it returns. */
#define PURGE_ROW_MIN (16 * KIB)
/* An epoch of the promise: so many limits' worth of memory taken that everything that is in use at
 * all has come round. */
#define EPOCH_LIMITS 16
/* Free rows too short for what is asked always lie about: only when more than half of the limit was
 * idle through an epoch, this part of it goes, or a mixed load of large blocks would regret it. */
#define EPOCH_DECAY 4
/* When the limit is passed, an eighth more than needed goes back: fewer, larger system calls. */
#define PURGE_SLACK_SHIFT 3

_Static_assert(NDIRECT == 32 && NCLASSES == 1 + NDIRECT + 5 * 6, "class table");
_Static_assert(CHUNK_PAGES == 256, "a chunk's bitmaps are four words");
_Static_assert(PAGE_BYTES / QUANTUM <= RUN_REGIONS_MAX, "one page of the smallest class fits");

#endif
