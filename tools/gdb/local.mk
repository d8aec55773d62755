# SPDX-License-Identifier: MIT
#
# gdb finds a library's script by the library's full name below its auto-load directory.  Included
# by tools/local.mk.

gdbautoloaddir = $(datadir)/gdb/auto-load$(libdir)

# libtool knows the name of the file behind libarena.so.0.
GDB_NAMES = $(SED) -n "s/^library_names='\([^ ']*\).*/\1-gdb.py/p" $(lib_LTLIBRARIES)

install-data-local: install-gdb
install-gdb: $(lib_LTLIBRARIES)
	$(MKDIR_P) "$(DESTDIR)$(gdbautoloaddir)"
	for name in `$(GDB_NAMES)`; do \
	  $(INSTALL_DATA) "$(srcdir)/tools/gdb/libarena-gdb.py" \
	    "$(DESTDIR)$(gdbautoloaddir)/$$name" || exit 1; done

uninstall-local: uninstall-gdb
uninstall-gdb: $(lib_LTLIBRARIES)
	for name in `$(GDB_NAMES)`; do rm -f "$(DESTDIR)$(gdbautoloaddir)/$$name"; done

.PHONY: install-gdb uninstall-gdb
