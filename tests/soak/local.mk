# SPDX-License-Identifier: MIT
#
# tests/soak/local.mk - `make soak`: some minutes that stand for eight hours.

EXTRA_DIST += tests/soak/soak.c tests/soak/soak.sh
soak: all
	LIB=$(abs_top_builddir)/.libs/libarena.so.0 $(BASH_PROG) $(srcdir)/tests/soak/soak.sh
