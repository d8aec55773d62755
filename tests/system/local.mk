# SPDX-License-Identifier: MIT
#
# tests/system/local.mk - whole Debian roots and a machine that boots.  Root only, and
# minutes long; included by tests/local.mk after SYSTEM_TESTS, the quick ones.

SYSTEM_TESTS += tests/system/crash-trial.sh
EXTRA_DIST += tests/system/root tests/system/in-root tests/system/packages \
	tests/system/programs tests/system/boot tests/system/memory

# A Debian root with the packages named in DEBS (or a staged tree), and the list of
# programs in it.  Needs the network, 2 GB, 10 minutes.  DEBS are installed each time, the root
# is made once.  `build-aux/release-check DIRECTORY programs boot crash` builds the packages too.
SYSTEM_ROOT = system-root
check-system-programs:
	if test -d $(SYSTEM_ROOT); then u=-u; fi; $(srcdir)/tests/system/root $$u $(SYSTEM_ROOT) $(DEBS)
	cp $(srcdir)/tests/system/programs $(SYSTEM_ROOT)/usr/local/sbin/arena-programs
	$(srcdir)/tests/system/in-root $(SYSTEM_ROOT) /usr/local/sbin/arena-programs

# Eight boots in qemu.  20 minutes.
check-system-boot:
	if test -d $(SYSTEM_ROOT); then u=-u; fi; $(srcdir)/tests/system/root $$u $(SYSTEM_ROOT) $(DEBS)
	$(CC) -std=gnu11 -D_GNU_SOURCE -fno-builtin -shared -fPIC -DBROKEN=1 \
		-o $(SYSTEM_ROOT).broken.so $(srcdir)/tests/system/standin.c
	$(srcdir)/tests/system/boot $(SYSTEM_ROOT) $(SYSTEM_ROOT).broken.so

# What the booted system needs, without libarena and with it: ten boots of that root in qemu.  20 minutes.
check-system-memory:
	$(srcdir)/tests/system/memory $(SYSTEM_ROOT)
