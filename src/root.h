/* SPDX-License-Identifier: MIT
 *
 * root.h - the root descriptor: the contract between the library and whoever reads its memory from
 * outside (alloc-stats, gdb, a core file).  Layer api.
 *
 * An allocated ELF note (owner "libarena", type 1) in every build of the library holds one signed
 * 64-bit word: the distance from that word to the root.  From the root every chunk, heap, run and
 * counter is reached by the structs of the library's own headers; a reader includes them and works
 * only when `version` is the one it was compiled with and the struct sizes agree.
 *
 * Everything that is reached is either constant, or written by single stores, or a counter; lists
 * of heaps and chunks are only ever added to.  A reader must still expect torn pictures of lists of
 * runs, and bound every walk.
 *
 * `control` is the one thing that a reader may write: see struct arn_control.
 */
#ifndef ARN_ROOT_H
#define ARN_ROOT_H

#include "control.h"
#include "heap.h"
#include "live.h"
#include "options.h"
#include "pagemap.h"
#include "pages.h"
#include "policy.h"

#define ARN_ROOT_MAGIC   0x616e6572616c6c61ull /* "allarena" in memory on little-endian machines */
#define ARN_ROOT_VERSION 7
#define ARN_NOTE_NAME    "libarena"

/* Differs when a struct that a reader walks has another layout, also one of the same size. */
#define ARN_MIX(h, x)           ((h)*31u + (uint64_t)(x))
#define ARN_MIX4(h, a, b, c, d) ARN_MIX(ARN_MIX(ARN_MIX(ARN_MIX(h, a), b), c), d)
#define ARN_LAYOUT_RUN                                                                             \
	ARN_MIX4(ARN_MIX4(17u, offsetof(struct run, slack_kib), offsetof(struct run, size),        \
			  offsetof(struct run, nfree), offsetof(struct run, cls)),                 \
		 offsetof(struct run, nwords), offsetof(struct run, npages),                       \
		 offsetof(struct run, zero), offsetof(struct run, bits))
#define ARN_ROOT_LAYOUT                                                                            \
	ARN_MIX4(ARN_MIX4(ARN_LAYOUT_RUN, offsetof(struct heap, info),                             \
			  offsetof(struct heap, bins), offsetof(struct bin, out),                  \
			  offsetof(struct bin, base)),                                             \
		 offsetof(struct chunk, used), offsetof(struct pages_state, nhuge),                \
		 sizeof(struct sizeclass) + sizeof(struct arn_policy),                             \
		 offsetof(struct heap, all_next))
#define ARN_NOTE_TYPE 1

struct arn_root {
	uint64_t magic;
	uint32_t version;
	uint32_t heap_bytes, run_bytes, chunk_bytes, pages_bytes; /* sizeof of the structs */
	uint32_t nclasses, page_shift, word_bytes;
	char library_version[16];
	struct heap *const *heaps;                    /* list by all_next */
	struct chunk *const *chunks;                  /* list by all_next */
	struct run *const *huge, *const *huge_cached; /* lists by next */
	page_info *_Atomic const *pagemap;
	const struct pages_state *pages;
	const struct sizeclass *classes;
	const struct options *options;
	const size_t *meta_mapped, *meta_used;
	_Atomic size_t const *delete_mismatches;
	struct arn_control *control;
	uint64_t layout;                       /* ARN_ROOT_LAYOUT of the library */
	struct meta_block *const *meta_blocks; /* list by next; .bss holds the first slots */
	struct lock *locks[3];                 /* all locks but those of heaps */
	void (*serve)(void);                   /* serves a request, when no lock is held */
	const struct live_state *live;         /* the peak, as told */
	const struct live_row *live_rows;      /* what is recorded of requests */
	uint32_t live_nrows;                   /* classes, large, huge */
	const struct arn_policy *policy;
};
extern const struct arn_root arn_root;

#endif
