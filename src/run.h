/* SPDX-License-Identifier: MIT
 *
 * run.h - the descriptor of a span of pages in use: a run (= slab) of small regions, one large
 * block, or one huge block.  Layer pages (the struct), layer run (run.c, its regions).
 *
 * For a run of small regions, under the lock of the owning heap:
 *     nregions == nfree + (regions in tcaches, combining tables or the program) + remote bits set
 *     nfree    == number of bits set in bits[0 .. nwords)
 * bits[nwords .. 2 * nwords) are the remote words: a thread that does not own the run sets a bit
 * there, with one atomic operation, for each region it frees; the owner takes them with an
 * exchange.  The two bits of a region are never both set.
 * When a run is given back (nfree == nregions) its remote words are zero.
 *
 *       region 0   region 1   region 2            nregions-1    unused tail
 *     +----------+----------+----------+-- ... --+-----------+--------------+
 *     ^ base                                                                ^ base + npages * 16
 * KiB
 *
 * A starter run has three bitmaps and no regions of one size: starter.h.
 *
 * The slot is type-stable.  A thread that set a remote bit may queue the run a moment later, when
 * the slot already serves another heap: so remote_queued and remote_next are never initialised, and
 * who takes a run from a queue verifies its owner (remote.c).
 */
#ifndef ARN_RUN_H
#define ARN_RUN_H

#include "bits.h"
#include "compiler.h"
#include "meta.h"
#include "tuning.h"

struct chunk;

enum run_state {
	RUN_UNUSED, /* a slot without pages */
	RUN_SMALL,
	RUN_LARGE,
	RUN_HUGE,
	RUN_STARTER, /* starter.h */
};

/* Of remote_queued: its page is being given back. */
#define RUN_BUSY 2u

struct run {
	/* First line: who and where; lists (under the owner's lock, huge: pages_lock). */
	struct run *next, *prev;
	union {
		struct run *sib_next; /* large and huge blocks of a shared heap */
		void *waste;          /* a run's table of live.h, or NULL */
	};
	struct run *sib_prev;
	struct chunk *chunk;             /* NULL for a huge block */
	struct run *_Atomic remote_next; /* link of the queue it is in */
	_Atomic uint32_t remote_queued;  /* 1 from before the push until after the pop */
	union {
		uint32_t slack_kib; /* huge: what the mapping has beyond size */
		/* Starters: no row of so many granules is free on the OS pages that were begun. */
		uint32_t lacks;
	};
	size_t size; /* large and huge: usable bytes */
	/* Second line: all that a flush touches, up to 256 regions. */
	uintptr_t base __attribute__((aligned(ARN_CACHE_LINE)));
	_Atomic uint32_t owner; /* heap id; changes only between lives */
	uint16_t nfree;
	uint16_t nregions;
	uint16_t first; /* starters: behind the last block */
	union {
		/* nfree when free rows were last looked for */
		uint16_t looked;
		/* Starters: granules of the OS pages that were begun. */
		uint16_t begun;
	};
	union {
		uint16_t gone_kib; /* of its free rows, given back and not yet taken again */
		uint16_t stop;     /* starters: all is free from `first` to here */
		bool parted;       /* huge: its parts have different advice */
	};
	uint8_t cls;
	uint8_t state;
	uint8_t nwords;
	bool listed;   /* in its bin's list of runs with free regions */
	bool split;    /* a huge mapping: cut from the end of the one before it */
	bool zero;     /* the span was never written when it was handed out */
	bool sparse;   /* a huge mapping: declines huge pages, since calloc gave it out fresh */
	uint8_t lines; /* of this slot */
	uint16_t npages;
	uint64_t bits[];
};

_Static_assert(offsetof(struct run, base) == 64, "two lines");
_Static_assert(offsetof(struct run, next) == 0, "meta.c links free slots by the first word");

/* Of a large or huge block, 1 + bytes not asked for, or 0: see live.h.  It has no bitmaps; alloc.c
 * uses their first word, and a slot has four at least. */
static inline uint64_t *run_block_waste(struct run *r)
{
	return &r->bits[1];
}
_Static_assert(offsetof(struct run, bits) + 2 * sizeof(uint64_t) <= 2 * ARN_CACHE_LINE,
	       "in the slot");

/* What a large or huge block takes: its usable bytes, and those behind them. */
static inline size_t run_block_bytes(const struct run *r)
{
	return r->size + r->slack_kib * KIB;
}

static inline _Atomic uint64_t *run_remote(struct run *r)
{
	return (_Atomic uint64_t *)&r->bits[r->nwords];
}

/* The first and third bitmap of a starter run. */
static inline uint64_t *run_starts(const struct run *r)
{
	return (uint64_t *)r->bits;
}

static inline uint64_t *run_ends(const struct run *r)
{
	return (uint64_t *)&r->bits[2 * RUN_REGIONS_MAX / WORD_BITS];
}

/* Lines of a slot for NWORDS words of bitmap, local and remote. */
static inline unsigned run_lines(unsigned nwords)
{
	return (unsigned)((offsetof(struct run, bits) + 16 * nwords + ARN_CACHE_LINE - 1) /
			  ARN_CACHE_LINE);
}

/* A slot, or NULL.  It has its lines and nwords; state is RUN_UNUSED. */
struct run *arn_run_slot_get(unsigned nregions);
void arn_run_slot_put(struct run *r);
/* Gives OS pages back on which no slot is in use; returns their bytes. */
size_t arn_run_slot_trim(void);
/* In a forked child, when meta_lock was held. */
void arn_run_slot_fork_child(void);

#endif
