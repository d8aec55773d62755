// SPDX-License-Identifier: MIT
//
// plugin.cc - a C++ plugin that plugin_host.c, a C program, loads with RTLD_LOCAL: the only thing
// in the process that needs libstdc++, which thus is not in the global scope either.
#include <climits>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

static volatile std::size_t impossible = PTRDIFF_MAX;
static int handler_calls;

static void count_two()
{
	if (++handler_calls == 2)
		std::set_new_handler(nullptr);
}

// A bit for each thing that works: 1 catches bad_alloc, 2 nothrow gives NULL, 4 the plugin's
// handler is called, 8 ordinary C++ works afterwards, 16 the aligned form throws.
extern "C" __attribute__((visibility("default"))) int plugin_run()
{
	int works = 0;

	try {
		::operator delete(::operator new(impossible));
	} catch (const std::bad_alloc &) {
		works |= 1;
	}
	if (!::operator new(impossible, std::nothrow))
		works |= 2;
	std::set_new_handler(count_two);
	try {
		::operator delete[](::operator new[](impossible));
	} catch (const std::bad_alloc &) {
		works |= handler_calls == 2 ? 4 : 0;
	}
	std::set_new_handler(nullptr);
	std::string text(100000, 'x');
	text += text;
	works |= text.size() == 200000 ? 8 : 0;
	try {
		::operator delete(::operator new(impossible, std::align_val_t{ 64 }),
				  std::align_val_t{ 64 });
	} catch (const std::bad_alloc &) {
		works |= 16;
	}
	return works;
}
