# SPDX-License-Identifier: MIT
#
# tests/local.mk - what `make check` runs: TAP, programs and scripts.
#
# A script's name ends in .sh (run by bash) or .py (python3).  A program whose name ends in
# .preload is run with libarena preloaded, others as they are.  Every test finds the tree in the
# variables of AM_TESTS_ENVIRONMENT.  Exit 77 or a "# SKIP reason" row is a counted skip.

TEST_EXTENSIONS = .sh .py .preload
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(BASH_PROG)
PY_LOG_DRIVER = $(TAP_DRIVER)
PY_LOG_COMPILER = $(PYTHON3)
PRELOAD_LOG_DRIVER = $(TAP_DRIVER)
PRELOAD_LOG_COMPILER = $(BASH_PROG) $(top_srcdir)/build-aux/under-preload

AM_TESTS_ENVIRONMENT = \
	TOP_SRCDIR='$(abs_top_srcdir)'; export TOP_SRCDIR; \
	TOP_BUILDDIR='$(abs_top_builddir)'; export TOP_BUILDDIR; \
	LIBDIR='$(abs_top_builddir)/.libs'; export LIBDIR; \
	VERSION='$(PACKAGE_VERSION)'; export VERSION; \
	HOST_CPU='$(host_cpu)'; export HOST_CPU; \
	CC='$(CC)'; export CC; \
	CXX='$(CXX)'; export CXX; \
	NM='$(NM)'; export NM; \
	READELF='$(READELF)'; export READELF; \
	PKG_CONFIG='$(PKG_CONFIG)'; export PKG_CONFIG; \
	PYTHON3='$(PYTHON3)'; export PYTHON3; \
	OVERRIDE='@OVERRIDE_TRUE@'; export OVERRIDE;

# -no-install: plain programs with an rpath instead of libtool's wrapper scripts.
TEST_COMPILE = -std=gnu11 -Wall -Wextra $(SAN_CFLAGS)
TEST_LINK = -no-install

# ---- the build itself ----------------------------------------------------------------------

BUILD_TESTS = \
	tests/build/exports.sh \
	tests/build/header.sh \
	tests/build/undefined.sh \
	tests/build/elf.sh \
	tests/build/versions.sh \
	tests/build/layers.sh \
	tests/build/config-h.sh \
	tests/build/pkg-config.sh
if SANITIZER
else
TESTS += $(BUILD_TESTS)
endif
EXTRA_DIST += $(BUILD_TESTS) tests/build/lib.sh tests/build/libarena.symbols \
	tests/build/libarena-prefixed.symbols tests/build/undefined.allowed \
	tests/build/config-h.macros tests/build/family.c \
	tests/build/prefixed.c tests/build/operators.cc build-aux/under-preload
