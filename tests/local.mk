# SPDX-License-Identifier: MIT
#
# tests/local.mk - what `make check` runs: TAP, programs and scripts.
#
# A script's name ends in .sh (run by bash) or .py (python3).  A program named *.preload is run with
# libarena preloaded, one named *.static is told that it is static, others are run as they are.
# Without these endings the names in a directory must still differ (they name the logs).
# Every test finds the tree in the variables of AM_TESTS_ENVIRONMENT.  Exit 77 or a row
# "# SKIP reason" is a counted skip.

TEST_EXTENSIONS = .sh .py .preload .static
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
# No test may hang: the slowest needs half a minute alone, and a busy machine or a sanitizer ten times that.
TEST_SECONDS = 300
TIMED = timeout -k 10 $(TEST_SECONDS)
LOG_DRIVER = $(TAP_DRIVER)
LOG_COMPILER = $(TIMED)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(TIMED) $(BASH_PROG)
PY_LOG_DRIVER = $(TAP_DRIVER)
PY_LOG_COMPILER = $(TIMED) $(PYTHON3)
PRELOAD_LOG_DRIVER = $(TAP_DRIVER)
PRELOAD_LOG_COMPILER = $(TIMED) $(BASH_PROG) $(top_srcdir)/build-aux/under-preload
STATIC_LOG_DRIVER = $(TAP_DRIVER)
STATIC_LOG_COMPILER = $(TIMED) env ARENA_TEST_LIB=static

AM_TESTS_ENVIRONMENT = \
	TOP_SRCDIR='$(abs_top_srcdir)'; export TOP_SRCDIR; \
	TOP_BUILDDIR='$(abs_top_builddir)'; export TOP_BUILDDIR; \
	LIBDIR='$(abs_top_builddir)/.libs'; export LIBDIR; \
	LIBEXECDIR='$(libexecdir)'; export LIBEXECDIR; \
	VERSION='$(PACKAGE_VERSION)'; export VERSION; \
	HOST_CPU='$(host_cpu)'; export HOST_CPU; \
	CC='$(CC)'; export CC; \
	CXX='$(CXX)'; export CXX; \
	NM='$(NM)'; export NM; \
	READELF='$(READELF)'; export READELF; \
	PKG_CONFIG='$(PKG_CONFIG)'; export PKG_CONFIG; \
	PYTHON3='$(PYTHON3)'; export PYTHON3; \
	OVERRIDE='$(enable_override)'; export OVERRIDE;

# -no-install: plain programs with an rpath instead of libtool's wrapper scripts.
TEST_COMPILE = -std=gnu11 -Wall -Wextra $(SAN_CFLAGS)
# clang has sized operator delete only when asked.
TEST_COMPILE_CXX = -std=gnu++17 -fsized-deallocation -Wall -Wextra $(SAN_CFLAGS)
TEST_LINK = -no-install

# What is worth repeating with a second compiler and with assertions on.
QUICK_TESTS = $(UNIT_TESTS) $(API_TESTS)

# ---- the build itself ----------------------------------------------------------------------

BUILD_TESTS = \
	tests/build/exports.sh \
	tests/build/header.sh \
	tests/build/undefined.sh \
	tests/build/elf.sh \
	tests/build/versions.sh \
	tests/build/layers.sh \
	tests/build/config-h.sh \
	tests/build/pkg-config.sh \
	tests/build/prefix.sh
EXTRA_DIST += $(BUILD_TESTS) tests/build/lib.sh tests/build/libarena.symbols \
	tests/build/libarena-prefixed.symbols tests/build/undefined.allowed \
	tests/build/config-h.macros tests/build/family.c \
	tests/build/prefixed.c tests/build/operators.cc build-aux/under-preload

# ---- modules: programs made with Check, linked with the core --------------------------------

UNIT_TESTS =
UNIT_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src $(CHECK_CFLAGS)
UNIT_CFLAGS = $(TEST_COMPILE)
UNIT_LDADD = libcore.la $(CHECK_LIBS) -lpthread
# Puts a test between the core and its OS layer: larger pages, forks around each system call.
UNIT_WRAP = -Wl,--wrap=arn_os_map -Wl,--wrap=arn_os_map_aligned -Wl,--wrap=arn_os_unmap -Wl,--wrap=arn_os_purge \
	-Wl,--wrap=arn_os_resize -Wl,--wrap=arn_os_move
EXTRA_DIST += tests/unit/without-check.sh

if HAVE_CHECK
UNIT_TESTS += tests/unit/base tests/unit/pages tests/unit/huge tests/unit/ospage tests/unit/heap \
	tests/unit/starter tests/unit/threads tests/unit/fork
tests_unit_base_SOURCES = tests/unit/base.c tests/unit/unit.h
tests_unit_base_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_CFLAGS = $(UNIT_CFLAGS)
tests_unit_base_LDFLAGS = $(TEST_LINK)
tests_unit_base_LDADD = $(UNIT_LDADD)

tests_unit_pages_SOURCES = tests/unit/pages.c tests/unit/unit.h
tests_unit_pages_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_pages_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pages_LDFLAGS = $(TEST_LINK)
tests_unit_pages_LDADD = $(UNIT_LDADD)

tests_unit_huge_SOURCES = tests/unit/huge.c tests/unit/unit.h
tests_unit_huge_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_huge_CFLAGS = $(UNIT_CFLAGS)
tests_unit_huge_LDFLAGS = $(TEST_LINK)
tests_unit_huge_LDADD = $(UNIT_LDADD)

tests_unit_heap_SOURCES = tests/unit/heap.c tests/unit/unit.h
tests_unit_heap_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_heap_CFLAGS = $(UNIT_CFLAGS)
tests_unit_heap_LDFLAGS = $(TEST_LINK)
tests_unit_heap_LDADD = $(UNIT_LDADD)

tests_unit_threads_SOURCES = tests/unit/threads.c tests/unit/unit.h
tests_unit_threads_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_threads_CFLAGS = $(UNIT_CFLAGS)
tests_unit_threads_LDFLAGS = $(TEST_LINK)
tests_unit_threads_LDADD = $(UNIT_LDADD)

tests_unit_fork_SOURCES = tests/unit/fork.c tests/unit/unit.h
tests_unit_fork_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fork_CFLAGS = $(UNIT_CFLAGS)
tests_unit_fork_LDFLAGS = $(TEST_LINK) $(UNIT_WRAP)
tests_unit_fork_LDADD = $(UNIT_LDADD)

tests_unit_starter_SOURCES = tests/unit/starter.c tests/unit/unit.h
tests_unit_starter_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_starter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_starter_LDFLAGS = $(TEST_LINK)
tests_unit_starter_LDADD = $(UNIT_LDADD)

tests_unit_ospage_SOURCES = tests/unit/ospage.c tests/unit/unit.h
tests_unit_ospage_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_ospage_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ospage_LDFLAGS = $(TEST_LINK) $(UNIT_WRAP) -Wl,--wrap=arn_os_page_bytes
tests_unit_ospage_LDADD = $(UNIT_LDADD)
else
TESTS += tests/unit/without-check.sh
endif

# ---- the API, the same sources in four forms -------------------------------------------------

API_FILES = tests/lib/tap.h tests/api/form.h tests/api/form.c tests/api/patterns.c \
	tests/api/api.c tests/api/align.c tests/api/arenas.c tests/api/basic.c tests/api/fork.c \
	tests/api/heap.c tests/api/limits.c tests/api/oom.c tests/api/overlap.c \
	tests/api/sizes.c tests/api/startend.c tests/api/threads.c

API_TESTS = tests/api/api-prefixed
tests_api_api_prefixed_SOURCES = $(API_FILES)
tests_api_api_prefixed_CPPFLAGS = $(AM_CPPFLAGS) -DFORM_PREFIXED
tests_api_api_prefixed_CFLAGS = $(TEST_COMPILE)
tests_api_api_prefixed_LDFLAGS = $(TEST_LINK)
tests_api_api_prefixed_LDADD = libarena-prefixed.la

if OVERRIDE
API_TESTS += tests/api/api-override tests/api/api-static.static tests/api/api-plain.preload
tests_api_api_override_SOURCES = $(API_FILES)
tests_api_api_override_CPPFLAGS = $(AM_CPPFLAGS) -DFORM_OVERRIDE
tests_api_api_override_CFLAGS = $(TEST_COMPILE)
tests_api_api_override_LDFLAGS = $(TEST_LINK)
tests_api_api_override_LDADD = libarena.la

tests_api_api_static_static_SOURCES = $(API_FILES)
tests_api_api_static_static_CPPFLAGS = $(AM_CPPFLAGS) -DFORM_OVERRIDE
tests_api_api_static_static_CFLAGS = $(TEST_COMPILE)
tests_api_api_static_static_LDFLAGS = -all-static
tests_api_api_static_static_LDADD = libarena.la

tests_api_api_plain_preload_SOURCES = $(API_FILES)
tests_api_api_plain_preload_CFLAGS = $(TEST_COMPILE)

# operator new and delete, linked and preloaded.
API_TESTS += tests/api/cxx-override tests/api/cxx-plain.preload
tests_api_cxx_override_SOURCES = tests/api/cxx.cc tests/lib/tap.h
tests_api_cxx_override_CXXFLAGS = $(TEST_COMPILE_CXX)
tests_api_cxx_override_LDFLAGS = $(TEST_LINK)
tests_api_cxx_override_LDADD = libarena.la
tests_api_cxx_plain_preload_SOURCES = tests/api/cxx.cc tests/lib/tap.h
tests_api_cxx_plain_preload_CXXFLAGS = $(TEST_COMPILE_CXX)

# A C program and the C++ plugin of the same name that it loads.
API_TESTS += tests/api/plugin_host.preload
tests_api_plugin_host_preload_SOURCES = tests/api/plugin_host.c tests/lib/tap.h
tests_api_plugin_host_preload_CFLAGS = $(TEST_COMPILE)
check_LTLIBRARIES += tests/api/plugin_host.la
tests_api_plugin_host_la_SOURCES = tests/api/plugin.cc
tests_api_plugin_host_la_CXXFLAGS = $(TEST_COMPILE_CXX)
# -rpath: libtool builds no shared module without one; this one is never installed.
tests_api_plugin_host_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
endif

# ---- one crime per program, each in two forms: NAME and NAME-prefixed -------------------------

CRIMES = \
	tests/death/arena_destroyed \
	tests/death/double_free \
	tests/death/double_free_apart \
	tests/death/double_free_flushed \
	tests/death/double_free_realloc \
	tests/death/double_free_thread \
	tests/death/foreign \
	tests/death/freed \
	tests/death/innocent \
	tests/death/inside \
	tests/death/starter \
	tests/death/unused \
	tests/death/wrong_size
CRIMES_PREFIXED = $(CRIMES:=-prefixed)
DEATH_TESTS = tests/death/death.sh
EXTRA_DIST += $(DEATH_TESTS) tests/death/crimes tests/death/crime.h tests/death/call.h \
	$(CRIMES:=.c)
CLEANFILES += $(CRIMES) $(CRIMES_PREFIXED)

# A program is one file and one command; Automake would want four lines for each.
CRIME_COMPILE = $(AM_V_CCLD)$(MKDIR_P) $(@D) && $(CC) $(AM_CPPFLAGS) $(CPPFLAGS) $(TEST_COMPILE) \
	$(CFLAGS) $(LDFLAGS) -o $@
$(CRIMES): tests/death/crime.h tests/death/call.h
	$(CRIME_COMPILE) $(srcdir)/$@.c
$(CRIMES_PREFIXED): tests/death/crime.h tests/death/call.h libarena-prefixed.la
	$(CRIME_COMPILE) -DFORM_PREFIXED $(srcdir)/$(@:-prefixed=).c -L.libs -larena-prefixed

# ---- real programs, and what other mallocs break ------------------------------------------------

REAL_TESTS = \
	tests/real/gcc.sh \
	tests/real/git.sh \
	tests/real/perl.sh \
	tests/real/python.sh \
	tests/real/redis.sh \
	tests/real/sqlite.sh
COMPAT_TESTS = tests/compat/quick
VALGRIND_TESTS = tests/valgrind/memcheck.sh
EXTRA_DIST += $(REAL_TESTS) tests/real/lib.sh tests/lib/witness.c tests/compat \
	$(VALGRIND_TESTS) tests/valgrind/blocks.c

include $(srcdir)/tests/stats/local.mk
include $(srcdir)/tests/policy/local.mk

# Enough to see that the tarball is whole: every test is compiled anyway.
DIST_TESTS = $(UNIT_TESTS) $(BUILD_TESTS) $(MAN_TESTS)

# ---- what `make check` runs ---------------------------------------------------------------------

check_PROGRAMS += $(UNIT_TESTS) $(API_TESTS)
TESTS += $(UNIT_TESTS) $(API_TESTS)
if OVERRIDE
check_DATA = $(CRIMES) $(CRIMES_PREFIXED)
TESTS += $(BUILD_TESTS) $(DEATH_TESTS) $(REAL_TESTS) $(COMPAT_TESTS) $(VALGRIND_TESTS)
endif

# ---- interleavings, made-up inputs, long loads -----------------------------------------------------

include $(srcdir)/tests/model/local.mk
include $(srcdir)/tests/fuzz/local.mk
include $(srcdir)/tests/soak/local.mk

# ---- what needs root, or longer: `make check-system` --------------------------------------------

SYSTEM_TESTS = \
	tests/system/edit.sh \
	tests/system/refuse.sh \
	tests/system/trial.sh \
	tests/system/crash.sh
EXTRA_DIST += $(SYSTEM_TESTS) tests/system/lib.sh tests/system/standin.c

check-system: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(SYSTEM_TESTS)'

# ---- whole test suites of real programs, from Debian's sources: `make check-suites` -----------------
# An hour or more, and as root, for packages are installed.  SUITES_DIR=DIRECTORY keeps the sources,
# the builds and the results; tests/suites/table makes of the results what doc/compatibility.md says.

SUITE_TESTS = \
	tests/suites/chromium.sh \
	tests/suites/gcc.sh \
	tests/suites/git.sh \
	tests/suites/java.sh \
	tests/suites/libreoffice.sh \
	tests/suites/node.sh \
	tests/suites/perl.sh \
	tests/suites/postgres.sh \
	tests/suites/python.sh \
	tests/suites/redis.sh \
	tests/suites/sqlite.sh
EXTRA_DIST += $(SUITE_TESTS) tests/suites/lib.sh tests/suites/Busy.java tests/suites/table \
	tests/suites/results.md

check-suites: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(SUITE_TESTS)' check_PROGRAMS= check_DATA= check_LTLIBRARIES= TEST_SECONDS=7200

include $(srcdir)/tests/system/local.mk
