/* SPDX-License-Identifier: MIT
 *
 * heap.h - a heap: one tcache bin and one bin of runs per size class.  Layer heap.
 *
 * A heap belongs to one thread at a time, or is shared by all under its lock (a first-class arena;
 * the heap of threads that have already ended).  What a heap consists of:
 *
 *   fast half   top[], limit[]: the tcache.  Only the owning thread touches it, without a lock or
 * an atomic.  For every class c with an array: base[c] <= top[c] <= limit[c] <= base[c] + cap[c]
 *                   base[c][-1] == NULL        (the sentinel: an empty bin pops NULL)
 *               without one: limit[c] == held[c], and top[c] == held[c] or held[c] + 1
 *   slow half   bins, runs: under `lock`.  The owner takes it on refill and flush; other threads
 *               only try, to collect for an owner that sleeps.
 *   remote      remote_head, remote_bytes: written by other threads, atomically.
 *   gathering   combine: this thread's pending frees into other heaps; only the owner touches it.
 *
 *   bin[c].out == regions of class c that are outside of this heap's runs
 *              == (live) + (in tcaches) + (in combining tables) + (remote bits not yet collected)
 */
#ifndef ARN_HEAP_H
#define ARN_HEAP_H

#include "fatal.h"
#include "live.h"
#include "lock.h"
#include "run.h"
#include "sizeclass.h"

enum heap_kind {
	HEAP_NONE,   /* the constant heap of a thread that has none yet */
	HEAP_THREAD, /* owned by one thread, or parked */
	HEAP_SHARED, /* used by anybody under the lock: arenas, and the heap of ended threads */
	HEAP_LOST,   /* its thread vanished in a fork while it was busy: frees only */
};

struct bin {
	struct run *partial; /* runs with a free region */
	void **base;         /* the tcache array; NULL before the first refill */
	union {
		struct run *full; /* shared heaps: runs without one, to destroy them */
		void *held[1];    /* no array yet: one starter block, with `base` as its sentinel */
	};
	uint16_t cap;
	uint16_t want; /* regions that the next refill takes; without an array: as STARTER_TAKES */
	uint32_t nruns;
	size_t out;
};

_Static_assert(offsetof(struct bin, held) == offsetof(struct bin, base) + sizeof(void *),
	       "held[-1] is base");

/* One remote bitmap word and the frees gathered for it. */
struct combine_slot {
	uintptr_t key; /* address of the run + number of the word */
	uint64_t mask; /* 0: the slot is empty, and the run may be gone */
};
_Static_assert(2 * RUN_REGIONS_MAX / WORD_BITS < ARN_CACHE_LINE, "runs begin at a line");

static inline struct run *combine_run(const struct combine_slot *s)
{
	return (struct run *)(RELAXED_GET(s->key) & -(uintptr_t)ARN_CACHE_LINE);
}

struct combine {
	struct combine_slot slots[COMBINE_SLOTS];
};

struct heap {
	void **top[NCLASSES];
	void **limit[NCLASSES];
	uint32_t info; /* id << INFO_CLASS_BITS */
	uint32_t id;
	uint8_t kind;
	bool parked;
	bool combining; /* the owner is between the stores of a combining slot */
	uint8_t rounds; /* TSD destructor rounds seen */
	struct lock lock;
	struct combine *combine;
	struct heap *parked_next; /* waiting queue */
	struct run *large;        /* large and huge blocks of a shared heap */
	struct run *starters;     /* by next; blocks come from the first */
	struct run *collecting; /* taken from remote_head, by remote_next, still to be looked at */
	unsigned nstarters;
	/* Under `lock`, in bytes: free regions in runs; free rows of runs that were given back (so
	 * that resident <= idle - gone); what went out of the runs since arn_live was told (beside
	 * `idle` gcc would make a vector of the two, which takes longer); what stayed when rows
	 * were last looked for; how much more than that may come; and how much of this because
	 * rows were wanted again. */
	size_t idle, gone, untold, kept, allowed, regret;
	/* Written by other threads; a line of its own. */
	struct run *_Atomic remote_head __attribute__((aligned(ARN_CACHE_LINE)));
	_Atomic size_t remote_bytes; /* given and not collected */
	_Atomic bool sleeps;         /* the last collection was not the owner's */
	struct heap *all_next;       /* every heap ever made; constant, and rarely read */
	struct bin bins[NCLASSES] __attribute__((aligned(ARN_CACHE_LINE)));
};

/* A new heap with an id and its tcache looking empty, or NULL. */
struct heap *arn_heap_new(enum heap_kind kind);
/* The heap of an id that some page or run carries. */
struct heap *arn_heap_by_id(uint32_t id);
/* Every heap ever made, by all_next; walked from ACQUIRE_GET(arn_heaps) without a lock. */
extern struct heap *arn_heaps ARN_HIDDEN;
uint32_t arn_heap_count(void);
/* N more of them are in use, neither parked nor free: they share what may stay. */
void arn_heap_count_used(int n);

/* The heap of a thread that has none: every malloc finds an empty bin, every free a full one.  It
 * is constant, and ends where others would write. */
union heap_none {
	struct {
		void **top[NCLASSES], **limit[NCLASSES];
		uint32_t info;
	} heap;
	char bytes[offsetof(struct heap, remote_head)];
} __attribute__((aligned(ARN_CACHE_LINE)));
_Static_assert(_Alignof(union heap_none) == _Alignof(struct heap), "as struct heap");
_Static_assert(offsetof(union heap_none, heap.info) == offsetof(struct heap, info),
	       "as struct heap");
extern const union heap_none arn_no_heap ARN_HIDDEN;
#define arn_heap_none (*(struct heap *)&arn_no_heap)
/* The calling thread's heap; never NULL. */
extern ARN_TLS struct heap *arn_heap ARN_HIDDEN;
/* arn_crime() where a heap's lock may be held: a handler of SIGABRT that allocates must not meet
 * it. */
void arn_heap_crime(enum arn_crime crime, const void *p) __attribute__((noreturn, cold));
void arn_heap_set_empty(struct heap *h);
void arn_heap_set_empty_bin(struct heap *h, unsigned cls);

/* ---- slow half: heap->lock held, but where it says otherwise ------------------------------- */

static inline void heap_tell(struct heap *h)
{
	arn_live_tell(h->untold);
	h->untold = 0;
	if (h->idle - h->gone < h->kept)
		h->kept = h->idle - h->gone;
}

/* N regions more of class CLS, of BYTES in all, are outside of H's runs; fewer: wrapped numbers. */
static inline void heap_out_bytes(struct heap *h, unsigned cls, size_t n, size_t bytes)
{
	RELAXED_SET(h->bins[cls].out, h->bins[cls].out + n);
	h->untold += bytes;
	h->idle -= bytes;
	if (unlikely(h->untold + LIVE_STEP > 2 * LIVE_STEP))
		heap_tell(h);
}

static inline void heap_out(struct heap *h, unsigned cls, size_t n)
{
	heap_out_bytes(h, cls, n, n * arn_class[cls].size);
}

/* Up to WANT regions of class CLS, in address order downwards from END.  0: out of memory. */
unsigned arn_heap_take(struct heap *h, unsigned cls, void **end, unsigned want);
/* Gives N regions back to the runs of H.  Interior pointers and regions that are free already are
 * crimes. */
void arn_heap_give(struct heap *h, unsigned cls, void *const *p, unsigned n);
/* Takes in what other threads have freed; of at most RUNS runs. */
void arn_heap_collect(struct heap *h);
void arn_heap_collect_some(struct heap *h, unsigned runs);
/* Takes in remote frees, and gives empty runs and free OS pages back. */
void arn_heap_trim(struct heap *h);
/* Gives free rows of runs back if more than H's share of the promise may be resident in them. */
void arn_heap_settle_slow(struct heap *h);
/* Whether others have freed what was not taken in. */
static inline bool heap_has_remote(struct heap *h)
{
	/* Relaxed: a push that is missed now is found by the next refill. */
	return h->collecting != NULL ||
	       atomic_load_explicit(&h->remote_head, memory_order_relaxed) != NULL;
}

/* By the owner, who is awake: takes in a part of what others have freed. */
static inline void heap_awake(struct heap *h)
{
	if (heap_has_remote(h)) {
		arn_heap_collect_some(h, COLLECT_RUNS);
		atomic_store_explicit(&h->sleeps, false, memory_order_relaxed);
	}
}

static inline void heap_settle(struct heap *h)
{
	if (unlikely(h->idle - h->gone > h->kept + h->allowed))
		arn_heap_settle_slow(h);
}

/* What H was allowed to keep because it wanted it again, others may keep now. */
void arn_heap_forget(struct heap *h);
/* After bits of R were merged: lists it, or releases it when it became empty, which is returned. */
bool arn_heap_run_freed(struct heap *h, struct run *r);

/* ---- while requests are recorded: take the lock themselves ---------------------------------- */

/* One region for a request of ASKED bytes, and its way back into the runs of its own heap H. */
void *arn_heap_recorded_malloc(struct heap *h, unsigned cls, size_t asked);
void arn_heap_recorded_free(struct heap *h, struct run *r, void *p);

/* ---- shared heaps: take the lock themselves ------------------------------------------------ */

void *arn_heap_shared_malloc(struct heap *h, unsigned cls);
void arn_heap_shared_free(struct heap *h, struct run *r, void *p);
/* Bytes that are live. */
size_t arn_heap_shared_live(struct heap *h);
/* Releases every run and block. */
void arn_heap_shared_clear(struct heap *h);

/* ---- remote.c: frees into the heap of another thread; no lock held -------------------------- */

void arn_remote_free(struct heap *me, struct run *r, void *p);

/* The slot of KEY, or else the second of the two that it may be in. */
static inline struct combine_slot *combine_slot(struct combine *c, uintptr_t key)
{
	/* Runs are lines apart, and words of one run count up. */
	struct combine_slot *s = &c->slots[(key / ARN_CACHE_LINE + key) % COMBINE_SLOTS & ~1u];

	return s->key == key ? s : s + 1;
}

/* The usual free of P, in run R of class CLS, where ME has a table: true if P joined others of its
 * word there.  Else arn_remote_free() does it, or names the crime. */
static inline bool remote_join(struct heap *me, const struct run *r, unsigned cls, const void *p)
{
	uintptr_t region = sizeclass_region(&arn_class[cls], (uintptr_t)p - r->base);
	uintptr_t key = (uintptr_t)r + region / WORD_BITS;
	struct combine_slot *s = combine_slot(me->combine, key);
	uint64_t bit = 1ull << (region % WORD_BITS), mask;

	if (unlikely(region >= r->nregions || me->combining))
		return false;
	me->combining = true;
	atomic_signal_fence(memory_order_seq_cst);
	/* The first of a word may have to send off another, and the last sends its own. */
	mask = s->key == key ? s->mask : 0;
	if (likely(mask != 0 && (mask & bit) == 0 && (mask | bit) != ~0ull))
		RELAXED_SET(s->mask, mask | bit);
	else
		bit = 0;
	atomic_signal_fence(memory_order_seq_cst);
	me->combining = false;
	return bit != 0;
}

/* Sends off all that ME has gathered. */
void arn_remote_flush(struct heap *me);
/* Bytes gathered and not yet sent. */
size_t arn_remote_pending(const struct heap *me);

/* In a forked child: H was caught busy.  It starts anew under another id; its old runs are lost,
 * but frees into them stay legal. */
void arn_heap_renew(struct heap *h);

/* The equations above that can be checked from inside. */
bool arn_heap_check(struct heap *h);

#endif
