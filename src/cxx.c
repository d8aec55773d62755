/* SPDX-License-Identifier: MIT
 *
 * cxx.c - the 20 replaceable forms of C++ operator new and delete, from C and without a C++ runtime
 * of our own.  Layer override; compiled with -fexceptions, since exceptions pass through.
 *
 * When memory runs out the standard wants the new_handler called, again and again, and then
 * std::bad_alloc thrown.  The program's own C++ runtime does that: its operator new is called with
 * the same arguments, and its malloc is ours.  In the shared library it is the next definition of
 * the name after ours, or, when the runtime came with a plugin (RTLD_LOCAL), that of a runtime that
 * is loaded under its usual name.  In a static program it is found by weak references.  A process
 * that has none of these cannot catch an exception either, and is ended with a message.
 */
#include "compiler.h" /* first: it asks the system headers for RTLD_NEXT */

#include <dlfcn.h>

#include "alloc.h"
#include "fatal.h"

/* size_t is `unsigned long` (m) where longs have 64 bits, else `unsigned int` (j). */
#ifdef __LP64__
#define SZ "m"
#else
#define SZ "j"
#endif
#define NOTHROW "RKSt9nothrow_t"
#define ALIGN   "St11align_val_t"

/* enum class std::align_val_t is passed as a size_t, a reference as a pointer. */
#define NAMED(name) __asm__(name)

static void *new_failed(const char *name, size_t size, size_t alignment, const void *nothrow)
	__attribute__((noinline, cold));

#ifdef PIC
static void *next_new(const char *name)
{
	static const char *const runtimes[] = {"libstdc++.so.6", "libc++.so.1"};
	void *f = dlsym(RTLD_NEXT, name);

	for (unsigned i = 0; f == NULL && i < sizeof runtimes / sizeof *runtimes; i++) {
		void *lib = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);

		if (lib != NULL)
			f = dlsym(lib, name);
	}
	return f;
}

static void *new_failed(const char *name, size_t size, size_t alignment, const void *nothrow)
{
	void *f;

	/* The runtimes round a size up to the alignment, some beyond SIZE_MAX; no alignment can
	 * make this size succeed, so ask for the failure alone. */
	if (alignment > 0 && size > PTRDIFF_MAX - alignment) {
		name = nothrow != NULL ? "_Znw" SZ NOTHROW : "_Znw" SZ;
		alignment = 0;
	}
	f = next_new(name);

	if (f == NULL && nothrow != NULL)
		return NULL;
	if (f == NULL) {
		static const char text[] =
			"operator new: out of memory, and no C++ runtime to throw";

		arn_warn(text, name, SIZE_MAX);
		__builtin_trap();
	}
	if (alignment > 0 && nothrow != NULL)
		return ((void *(*)(size_t, size_t, const void *))f)(size, alignment, nothrow);
	if (alignment > 0)
		return ((void *(*)(size_t, size_t))f)(size, alignment);
	if (nothrow != NULL)
		return ((void *(*)(size_t, const void *))f)(size, nothrow);
	return ((void *(*)(size_t))f)(size);
}
#else
/* libstdc++'s and libc++'s, weak: a C program has neither. */
typedef void (*handler)(void);
extern handler get_new_handler(void) NAMED("_ZSt15get_new_handlerv") __attribute__((weak));
extern void throw_bad_alloc(void) NAMED("_ZSt17__throw_bad_allocv") __attribute__((weak, noreturn));

static void *new_failed(const char *name, size_t size, size_t alignment, const void *nothrow)
{
	for (;;) {
		handler h = get_new_handler != NULL ? get_new_handler() : NULL;
		void *p;

		if (h == NULL)
			break;
		/* An exception of the handler passes through, also out of a nothrow form: the
		 * C++ runtimes would return NULL there; no handler is known to throw for it. */
		h();
		p = arn_memalign(alignment, size);
		if (p != NULL)
			return p;
	}
	if (nothrow != NULL)
		return NULL;
	if (throw_bad_alloc != NULL)
		throw_bad_alloc();
	arn_warn("operator new: out of memory, and no C++ runtime to throw", name, SIZE_MAX);
	__builtin_trap();
}
#endif

/* One row per form of new: id, mangled name. */
#define NEW(id, name)                                                                              \
	ARN_EXPORT void *id(size_t size) NAMED(name);                                              \
	void *id(size_t size)                                                                      \
	{                                                                                          \
		void *p = tcache_malloc(size);                                                     \
                                                                                                   \
		return likely(p != NULL) ? p : new_failed(name, size, 0, NULL);                    \
	}
#define NEW_NOTHROW(id, name)                                                                      \
	ARN_EXPORT void *id(size_t size, const void *nothrow) NAMED(name);                         \
	void *id(size_t size, const void *nothrow)                                                 \
	{                                                                                          \
		void *p = tcache_malloc(size);                                                     \
                                                                                                   \
		return likely(p != NULL) ? p : new_failed(name, size, 0, nothrow);                 \
	}
#define NEW_ALIGN(id, name)                                                                        \
	ARN_EXPORT void *id(size_t size, size_t alignment) NAMED(name);                            \
	void *id(size_t size, size_t alignment)                                                    \
	{                                                                                          \
		void *p = arn_memalign(alignment, size);                                           \
                                                                                                   \
		return likely(p != NULL) ? p : new_failed(name, size, alignment, NULL);            \
	}
#define NEW_ALIGN_NOTHROW(id, name)                                                                \
	ARN_EXPORT void *id(size_t size, size_t alignment, const void *nothrow) NAMED(name);       \
	void *id(size_t size, size_t alignment, const void *nothrow)                               \
	{                                                                                          \
		void *p = arn_memalign(alignment, size);                                           \
                                                                                                   \
		return likely(p != NULL) ? p : new_failed(name, size, alignment, nothrow);         \
	}

NEW(new_one, "_Znw" SZ)
NEW(new_array, "_Zna" SZ)
NEW_NOTHROW(new_one_nothrow, "_Znw" SZ NOTHROW)
NEW_NOTHROW(new_array_nothrow, "_Zna" SZ NOTHROW)
NEW_ALIGN(new_one_align, "_Znw" SZ ALIGN)
NEW_ALIGN(new_array_align, "_Zna" SZ ALIGN)
NEW_ALIGN_NOTHROW(new_one_align_nothrow, "_Znw" SZ ALIGN NOTHROW)
NEW_ALIGN_NOTHROW(new_array_align_nothrow, "_Zna" SZ ALIGN NOTHROW)

/* One row per form of delete: id, mangled name, further parameters, how it frees. */
#define DELETE(id, name, params, call)                                                             \
	ARN_EXPORT void id params NAMED(name);                                                     \
	void id params                                                                             \
	{                                                                                          \
		call;                                                                              \
	}

DELETE(delete_one, "_ZdlPv", (void *p), tcache_free(p))
DELETE(delete_array, "_ZdaPv", (void *p), tcache_free(p))
DELETE(delete_one_size, "_ZdlPv" SZ, (void *p, size_t n), tcache_delete(p, n))
DELETE(delete_array_size, "_ZdaPv" SZ, (void *p, size_t n), tcache_delete(p, n))
DELETE(delete_one_nothrow, "_ZdlPv" NOTHROW, (void *p, const void *t), (void)t; tcache_free(p))
DELETE(delete_array_nothrow, "_ZdaPv" NOTHROW, (void *p, const void *t), (void)t; tcache_free(p))
DELETE(delete_one_align, "_ZdlPv" ALIGN, (void *p, size_t a), (void)a; tcache_free(p))
DELETE(delete_array_align, "_ZdaPv" ALIGN, (void *p, size_t a), (void)a; tcache_free(p))
/* The aligned forms chose their class by the alignment too: the size alone does not tell it. */
DELETE(delete_one_size_align, "_ZdlPv" SZ ALIGN, (void *p, size_t n, size_t a), (void)n; (void)a;
       tcache_free(p))
DELETE(delete_array_size_align, "_ZdaPv" SZ ALIGN, (void *p, size_t n, size_t a), (void)n; (void)a;
       tcache_free(p))
DELETE(delete_one_align_nothrow, "_ZdlPv" ALIGN NOTHROW, (void *p, size_t a, const void *t),
       (void)a;
       (void)t; tcache_free(p))
DELETE(delete_array_align_nothrow, "_ZdaPv" ALIGN NOTHROW, (void *p, size_t a, const void *t),
       (void)a;
       (void)t; tcache_free(p))

#ifdef __ARM_EABI__
/* ARM's unwind tables name these only to bring libgcc_s in, which a C program need not load.  Who
 * unwinds has it, and calls its own; weak, for a static program that holds those too. */
void __aeabi_unwind_cpp_pr0(void) __attribute__((weak, visibility("hidden")));
void __aeabi_unwind_cpp_pr1(void) __attribute__((weak, visibility("hidden")));

void __aeabi_unwind_cpp_pr0(void)
{
}

void __aeabi_unwind_cpp_pr1(void)
{
}
#endif
