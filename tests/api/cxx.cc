// SPDX-License-Identifier: MIT
//
// cxx.cc - the 20 replaceable forms of operator new and delete, by the C++17 standard
// ([new.delete.single], [new.delete.array]): new_handler in a loop, std::bad_alloc, nothrow NULL,
// alignment, sizes of delete, exceptions that pass through.  One program for two forms: linked
// with the override library, or plain and run under LD_PRELOAD.  ARENA_TEST_LIB names the library
// that must serve (a part of its file name, default "libarena").
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <arena/amalloc.h>

#define TAP_OWNER
#include "../lib/tap.h"

using std::align_val_t;
using std::nothrow;
using std::nothrow_t;
using std::size_t;

// volatile: else the compiler sees that the call must throw, or drops new/delete pairs.
static volatile size_t impossible = PTRDIFF_MAX;

// ---- whose functions they are ---------------------------------------------------------------

static const char *const forms[] = {
	"_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t",
	"_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",
	"_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnamSt11align_val_tRKSt9nothrow_t",
	"_ZdlPv", "_ZdaPv", "_ZdlPvm", "_ZdaPvm", "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t",
	"_ZdlPvSt11align_val_t", "_ZdaPvSt11align_val_t",
	"_ZdlPvmSt11align_val_t", "_ZdaPvmSt11align_val_t",
	"_ZdlPvSt11align_val_tRKSt9nothrow_t", "_ZdaPvSt11align_val_tRKSt9nothrow_t",
};

static void prove()
{
	const char *expected = getenv("ARENA_TEST_LIB");

	if (!expected || !*expected)
		expected = "libarena";
	static_assert(sizeof forms / sizeof *forms == 20, "the standard has 20");
	for (const char *form : forms) {
		std::string name = form;
		Dl_info info;

		// size_t is unsigned int, `j`, where pointers have 4 bytes.
		if (sizeof(size_t) == 4)
			for (char &c : name)
				if (c == 'm')
					c = 'j';
		void *function = dlsym(RTLD_DEFAULT, name.c_str());
		const char *file = function && dladdr(function, &info) ? info.dli_fname : "/nobody";
		const char *slash = strrchr(file, '/');

		file = slash ? slash + 1 : file;
		tap_ok(strstr(file, expected) != nullptr, "%s comes from %s (%s)", name.c_str(),
		       expected, file);
	}
}

static bool arena_serves()
{
	return dlsym(RTLD_DEFAULT, "amalloc_version") != nullptr;
}

// ---- every form gives and takes ---------------------------------------------------------------

static const size_t sizes[] = { 0, 1, 15, 16, 100, 5000, 40000, 300000, 5u << 20 };
static const size_t alignments[] = { 1, 16, 32, 64, 256, 4096, 65536, 1u << 20 };

static bool good(void *p, size_t size, size_t alignment)
{
	if (!p || reinterpret_cast<uintptr_t>(p) % alignment)
		return false;
	memset(p, 0x5a, size);
	return true;
}

static void test_plain_forms()
{
	bool right = true;

	for (size_t n : sizes) {
		void *p = ::operator new(n), *q = ::operator new(n);

		right &= good(p, n, 16) && good(q, n, 16) && p != q;
		::operator delete(p);
		::operator delete(q, n);
		right &= good(p = ::operator new[](n), n, 16);
		right &= good(q = ::operator new[](n), n, 16);
		::operator delete[](p);
		::operator delete[](q, n);
		right &= good(p = ::operator new(n, nothrow), n, 16);
		right &= good(q = ::operator new[](n, nothrow), n, 16);
		::operator delete(p, nothrow);
		::operator delete[](q, nothrow);
	}
	tap_ok(right, "new, new[], delete, delete[], sized, nothrow: 0 B to 5 MiB, 16 aligned");
}

static void test_aligned_forms()
{
	bool right = true;

	for (size_t n : sizes)
		for (size_t alignment : alignments) {
			align_val_t a{ alignment };
			void *p, *q, *r;

			right &= good(p = ::operator new(n, a), n, alignment);
			right &= good(q = ::operator new(n, a), n, alignment);
			right &= good(r = ::operator new(n, a, nothrow), n, alignment);
			::operator delete(p, a);
			::operator delete(q, n, a);
			::operator delete(r, a, nothrow);
			right &= good(p = ::operator new[](n, a), n, alignment);
			right &= good(q = ::operator new[](n, a), n, alignment);
			right &= good(r = ::operator new[](n, a, nothrow), n, alignment);
			::operator delete[](p, a);
			::operator delete[](q, n, a);
			::operator delete[](r, a, nothrow);
		}
	tap_ok(right, "aligned forms: alignments 1 B to 1 MiB, 0 B to 5 MiB");
}

static void test_delete_null()
{
	void *volatile null = nullptr;
	align_val_t a{ 64 };

	errno = 12345;
	::operator delete(null);
	::operator delete[](null);
	::operator delete(null, size_t{ 5 });
	::operator delete[](null, size_t{ 5 });
	::operator delete(null, nothrow);
	::operator delete[](null, nothrow);
	::operator delete(null, a);
	::operator delete[](null, a);
	::operator delete(null, size_t{ 5 }, a);
	::operator delete[](null, size_t{ 5 }, a);
	::operator delete(null, a, nothrow);
	::operator delete[](null, a, nothrow);
	tap_ok(errno == 12345, "all forms of delete ignore a null pointer");
}

// ---- failure ------------------------------------------------------------------------------------

using allocate_form = void *(*)(size_t);

static void *by_new(size_t n) { return ::operator new(n); }
static void *by_new_array(size_t n) { return ::operator new[](n); }
static void *by_aligned(size_t n) { return ::operator new(n, align_val_t{ 64 }); }
static void *by_aligned_array(size_t n) { return ::operator new[](n, align_val_t{ 4096 }); }
static void *by_nothrow(size_t n) { return ::operator new(n, nothrow); }
static void *by_nothrow_array(size_t n) { return ::operator new[](n, nothrow); }
static void *by_aligned_nothrow(size_t n) { return ::operator new(n, align_val_t{ 64 }, nothrow); }
static void *by_aligned_array_nothrow(size_t n)
{
	return ::operator new[](n, align_val_t{ 4096 }, nothrow);
}

static const struct {
	const char *name;
	allocate_form allocate;
	bool throws;
} allocators[] = {
	{ "new", by_new, true },
	{ "new[]", by_new_array, true },
	{ "aligned new", by_aligned, true },
	{ "aligned new[]", by_aligned_array, true },
	{ "nothrow new", by_nothrow, false },
	{ "nothrow new[]", by_nothrow_array, false },
	{ "aligned nothrow new", by_aligned_nothrow, false },
	{ "aligned nothrow new[]", by_aligned_array_nothrow, false },
};

static int handler_calls;

static void count_three()
{
	if (++handler_calls == 3)
		std::set_new_handler(nullptr);
}

struct handlers_own : std::runtime_error {
	handlers_own() : std::runtime_error("from the handler") {}
};

static void throw_own()
{
	handler_calls++;
	throw handlers_own();
}

struct better_bad_alloc : std::bad_alloc {};

static void throw_bad_alloc()
{
	handler_calls++;
	throw better_bad_alloc();
}

enum outcome { gave, null, bad_alloc, own_exception, derived_bad_alloc, other };

static outcome outcome_of(allocate_form allocate, size_t n)
{
	try {
		return allocate(n) ? gave : null;
	} catch (const better_bad_alloc &) {
		return derived_bad_alloc;
	} catch (const std::bad_alloc &) {
		return bad_alloc;
	} catch (const handlers_own &) {
		return own_exception;
	} catch (...) {
		return other;
	}
}

static void test_failure()
{
	for (const auto &row : allocators) {
		outcome got;

		std::set_new_handler(nullptr);
		got = outcome_of(row.allocate, impossible);
		tap_ok(got == (row.throws ? bad_alloc : null), "%s: %s without a handler",
		       row.name, row.throws ? "std::bad_alloc" : "a null pointer");
		got = outcome_of(row.allocate, SIZE_MAX);
		if (got == gave && !arena_serves())
			tap_skip(row.name, "libstdc++ 12 rounds SIZE_MAX up to 0 here");
		else
			tap_ok(got == (row.throws ? bad_alloc : null),
			       "%s: the same for SIZE_MAX", row.name);

		handler_calls = 0;
		std::set_new_handler(count_three);
		got = outcome_of(row.allocate, impossible);
		tap_ok(handler_calls == 3 && got == (row.throws ? bad_alloc : null),
		       "%s: the handler is called until it gives up (%d times)", row.name,
		       handler_calls);

		handler_calls = 0;
		std::set_new_handler(throw_own);
		if (row.throws) {
			got = outcome_of(row.allocate, impossible);
			tap_ok(handler_calls == 1 && got == own_exception,
			       "%s: the handler's exception passes through", row.name);
		}
		handler_calls = 0;
		std::set_new_handler(throw_bad_alloc);
		got = outcome_of(row.allocate, impossible);
		tap_ok(handler_calls == 1 && got == (row.throws ? derived_bad_alloc : null),
		       "%s: a handler that throws bad_alloc: %s", row.name,
		       row.throws ? "passes through" : "a null pointer");
		std::set_new_handler(nullptr);
	}
}

// A handler that makes room: the standard's purpose of it.  In a child with little memory.
static void *reserve;

static void give_reserve()
{
	handler_calls++;
	if (!reserve) {
		std::set_new_handler(nullptr);
		return;
	}
	::operator delete(reserve);
	reserve = nullptr;
}

static int need_reserve()
{
	struct rlimit limit;
	void *p;

	alarm(20);
	reserve = ::operator new(size_t{ 200 } << 20);
	// 300 MiB more than nothing; 250 MiB do not fit beside the reserve of 200 MiB.
	limit.rlim_cur = limit.rlim_max = size_t{ 300 } << 20;
	if (setrlimit(RLIMIT_DATA, &limit) != 0)
		return 2;
	std::set_new_handler(give_reserve);
	handler_calls = 0;
	p = ::operator new(size_t{ 250 } << 20);
	if (!p || handler_calls != 1)
		return 3;
	try {
		p = ::operator new(size_t{ 250 } << 20);
		return 4;
	} catch (const std::bad_alloc &) {
		return handler_calls == 2 ? 0 : 5;
	}
}

static void test_handler_makes_room()
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(need_reserve());
	waitpid(pid, &status, 0);
	tap_ok(status == 0, "a handler that frees memory lets new succeed (status %#x)",
	       static_cast<unsigned>(status));
}

// ---- sized delete with a wrong size -----------------------------------------------------------

static uint64_t mismatches()
{
	int (*stats)(struct amalloc_stats *, size_t);
	struct amalloc_stats s;

	*reinterpret_cast<void **>(&stats) = dlsym(RTLD_DEFAULT, "amalloc_stats");
	return stats && stats(&s, sizeof s) == 0 ? s.sized_delete_mismatches : 0;
}

static void test_wrong_size()
{
	static const struct { size_t asked, told; } rows[] = {
		{ 100, 4000 }, { 4000, 100 }, { 16, 1u << 20 }, { 1u << 20, 16 },
		{ 9u << 20, 8 }, { 8, 9u << 20 }, { 50000, 20 }, { 0, 77777 },
	};
	uint64_t before = mismatches(), after;
	bool right = true;

	for (int round = 0; round < 1000; round++)
		for (const auto &row : rows) {
			void *p = ::operator new(row.asked);

			right &= good(p, row.asked, 16);
			::operator delete(p, row.told);
			p = ::operator new[](row.asked, align_val_t{ 64 });
			right &= good(p, row.asked, 64);
			::operator delete[](p, row.told, align_val_t{ 64 });
		}
	// Whoever believed a wrong size hands out blocks that are too small: fill many at once.
	std::vector<std::string> strings;
	for (size_t i = 0; i < 20000; i++)
		strings.emplace_back(i % 5000, static_cast<char>('a' + i % 26));
	for (size_t i = 0; i < strings.size(); i++)
		for (char c : strings[i])
			right &= c == static_cast<char>('a' + i % 26);
	tap_ok(right, "sized delete with a wrong size is tolerated");
	after = mismatches();
	if (arena_serves())
		tap_ok(after >= before + 1000, "and counted (%llu times)",
		       static_cast<unsigned long long>(after - before));
	else
		tap_skip("and counted", "libarena does not serve");
}

// ---- unwinding through frames with destructors, in threads too ---------------------------------

static thread_local int cleanups;

struct cleanup {
	std::string text = std::string(200, 'x');
	~cleanup() { cleanups++; }
};

static int dig(int depth)
{
	cleanup c;

	if (depth == 0)
		return *static_cast<char *>(::operator new(impossible));
	return dig(depth - 1) + static_cast<int>(c.text.size());
}

static bool unwinds()
{
	cleanups = 0;
	for (int i = 0; i < 100; i++)
		try {
			dig(9);
			return false;
		} catch (const std::bad_alloc &e) {
			if (std::string(e.what()).empty())
				return false;
		}
	return cleanups == 1000;
}

struct alignas(128) wide {
	char c[300];
	wide() { memset(c, 1, sizeof c); }
};

static void test_language()
{
	bool right = true, in_threads[4] = {};
	std::vector<std::thread> threads;

	tap_ok(unwinds(), "std::bad_alloc unwinds through frames with destructors");
	for (bool &b : in_threads)
		threads.emplace_back([&b] { b = unwinds(); });
	for (auto &t : threads)
		t.join();
	tap_ok(in_threads[0] && in_threads[1] && in_threads[2] && in_threads[3],
	       "and in four threads at once");
	for (int i = 0; i < 1000; i++) {
		wide *one = new wide, *many = new wide[7];

		right &= reinterpret_cast<uintptr_t>(one) % 128 == 0;
		right &= reinterpret_cast<uintptr_t>(many) % 128 == 0;
		delete one;
		delete[] many;
	}
	tap_ok(right, "new and delete of an over-aligned type");
}

int main()
{
	alarm(100); // a handler that is called for ever must not hang the harness
	prove();
	test_plain_forms();
	test_aligned_forms();
	test_delete_null();
	test_failure();
	test_handler_makes_room();
	test_wrong_size();
	test_language();
	return tap_done();
}
