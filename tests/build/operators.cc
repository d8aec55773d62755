// SPDX-License-Identifier: MIT
//
// operators.cc - calls all 20 replaceable forms of operator new and delete, and lets one fail.
// With -static it shows that no form is left to libstdc++ (two definitions would not link).
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>

static void *keep(void *ptr)
{
	__asm__ volatile("" : "+r"(ptr) : : "memory");
	return ptr;
}

int main()
{
	const std::align_val_t al{64};
	const std::nothrow_t &nt = std::nothrow;
	volatile std::size_t too_big = SIZE_MAX / 2 + 1; // volatile: the compiler warns otherwise
	bool caught = false;

	::operator delete(keep(::operator new(10)));
	::operator delete[](keep(::operator new[](10)));
	::operator delete(keep(::operator new(10, nt)), nt);
	::operator delete[](keep(::operator new[](10, nt)), nt);
	::operator delete(keep(::operator new(10, al)), al);
	::operator delete[](keep(::operator new[](10, al)), al);
	::operator delete(keep(::operator new(10, al, nt)), al, nt);
	::operator delete[](keep(::operator new[](10, al, nt)), al, nt);
	::operator delete(keep(::operator new(10)), std::size_t{10});
	::operator delete[](keep(::operator new[](10)), std::size_t{10});
	::operator delete(keep(::operator new(10, al)), std::size_t{10}, al);
	::operator delete[](keep(::operator new[](10, al)), std::size_t{10}, al);

	if (::operator new(too_big, nt)) {
		std::puts("wrong: a nothrow new of half the address space succeeded");
		return 1;
	}
	try {
		keep(::operator new(too_big));
	} catch (const std::bad_alloc &) {
		caught = true;
	}
	if (!caught)
		std::puts("wrong: no std::bad_alloc");
	return !caught;
}
