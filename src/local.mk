# SPDX-License-Identifier: MIT
#
# src/local.mk - the libraries.  To add a file: put its name into the list of its layer here and
# into src/LAYERS; headers go into HEADER_FILES.

# The core, lowest layer first.
CORE_FILES = \
	src/sizeclass.c \
	src/os_linux.c src/lock.c src/fatal.c src/options.c \
	src/meta.c src/slot.c src/pagemap.c src/promise.c src/pages.c src/spare.c src/huge.c \
	src/run.c src/live.c \
	src/heap.c src/starter.c src/remote.c \
	src/tcache.c src/thread.c \
	src/policy.c src/foreign.c src/alloc.c src/fork.c src/stats.c src/root.c src/init.c src/api.c

# Only in libarena.
OVERRIDE_FILES = src/override.c src/cxx.c src/deepbind.c src/handback.c

HEADER_FILES = \
	src/compiler.h src/valgrind.h src/bits.h src/tuning.h src/sizeclass.h src/options.def \
	src/os.h src/lock.h src/fatal.h src/options.h src/control.h src/init.h \
	src/meta.h src/run.h src/pagemap.h src/promise.h src/pages.h src/rows.h \
	src/run_ops.h src/live.h \
	src/heap.h src/starter.h \
	src/tcache_inl.h src/tcache.h \
	src/policy.h src/foreign.h src/alloc.h src/fork.h src/stats.h src/root.h src/override.h

# Where policy.c looks.  No variable of the environment may say that: programs that gain privileges
# read it too.
CONF_CFLAGS = -DARN_CONF='"$(sysconfdir)/arena.conf"'

arenaincludedir = $(includedir)/arena
arenainclude_HEADERS = include/arena/amalloc.h

# -version-info CURRENT:REVISION:AGE
#                  |       |      +--- how many interfaces before CURRENT still work
#                  |       +---------- releases of this interface
#                  +------------------ number of this interface; soname = CURRENT - AGE
# At a release:  only code changed           C   : R+1 : A
#                functions were added        C+1 : 0   : A+1
#                anything removed or changed C+1 : 0   : 0     (soname moves: see HACKING.md)
LIBRARY_VERSION = -version-info 0:0:0

# What the compiler adds to a shared library writes to it when a process ends, and has libc look for
# our fork handler: three page faults in each process, for a library that is never unloaded.
NO_START_FILES = -XCClinker -nostartfiles

# In which order the linker puts what it is given; configure has tried whether it does.
LAYOUT = $(srcdir)/src/layout.ld

# Each library lists the core anew: from a convenience library libtool would put
# position-independent objects into the .a files, and cxx.c differs there.
lib_LTLIBRARIES += libarena-prefixed.la
libarena_prefixed_la_SOURCES = $(CORE_FILES) $(HEADER_FILES)
libarena_prefixed_la_CFLAGS = $(AM_CFLAGS) $(CORE_CFLAGS) $(CONF_CFLAGS)
libarena_prefixed_la_LDFLAGS = $(LIBRARY_VERSION) -no-undefined $(CORE_LDFLAGS) $(NO_START_FILES) \
	-Wl,--version-script=$(srcdir)/src/prefixed.map
EXTRA_libarena_prefixed_la_DEPENDENCIES = $(srcdir)/src/prefixed.map $(LAYOUT)

if OVERRIDE
# -fexceptions: operator new lets the exception of the program's own operator new pass.
lib_LTLIBRARIES += libarena.la
libarena_la_SOURCES = $(OVERRIDE_FILES) $(CORE_FILES) $(HEADER_FILES)
libarena_la_CFLAGS = $(AM_CFLAGS) $(CORE_CFLAGS) $(CONF_CFLAGS) -fexceptions
libarena_la_LDFLAGS = $(LIBRARY_VERSION) -no-undefined $(CORE_LDFLAGS) $(NO_START_FILES) \
	-Wl,--version-script=$(srcdir)/src/arena.map
EXTRA_libarena_la_DEPENDENCIES = $(srcdir)/src/arena.map $(LAYOUT)
endif

# The core with all its names visible, for the unit tests.
check_LTLIBRARIES += libcore.la
libcore_la_SOURCES = $(CORE_FILES) $(HEADER_FILES)
libcore_la_CFLAGS = $(AM_CFLAGS) $(CORE_CFLAGS) $(CONF_CFLAGS)

EXTRA_DIST += src/arena.map src/prefixed.map $(LAYOUT) src/LAYERS src/README.md
