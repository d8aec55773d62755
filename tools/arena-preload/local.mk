# SPDX-License-Identifier: MIT
#
# arena-preload: one static program, its check program, units, the boot guard.
# Included by tools/local.mk.

sbin_PROGRAMS += tools/arena-preload/arena-preload

tools_arena_preload_arena_preload_SOURCES = \
	tools/arena-preload/preload.h \
	tools/arena-preload/util.c \
	tools/arena-preload/file.c \
	tools/arena-preload/edit.c \
	tools/arena-preload/elf.c \
	tools/arena-preload/check.c \
	tools/arena-preload/selftest.c \
	tools/arena-preload/private_etc.c \
	tools/arena-preload/trial.c \
	tools/arena-preload/guard.c \
	tools/arena-preload/enable.c \
	tools/arena-preload/scope.c \
	tools/arena-preload/status.c \
	tools/arena-preload/rescue.c \
	tools/arena-preload/main.c
tools_arena_preload_arena_preload_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE \
	-DAP_LIBEXECDIR='"$(libexecdir)/arena"' -DAP_LIBRARY='"$(libdir)/libarena.so.0"' \
	-DAP_UNITDIR='"$(systemdsystemunitdir)"' -DAP_INITRAMFSDIR='"$(initramfsdir)"'
# No preloaded library can stop a static program.  -all-static is libtool's word; it
# becomes -static at the link.
tools_arena_preload_arena_preload_LDFLAGS = $(AM_LDFLAGS) -all-static

# What enable runs under the library, so it must be dynamic; the module is opened
# with RTLD_DEEPBIND from the program's own directory.  Not an LTLIBRARY, which would
# install a .la file beside it.
arenalibexecdir = $(libexecdir)/arena
arenalibexec_PROGRAMS = \
	tools/arena-preload/preload-check \
	tools/arena-preload/preload-check-module.so

tools_arena_preload_preload_check_SOURCES = tools/arena-preload/preload-check.c
tools_arena_preload_preload_check_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
tools_arena_preload_preload_check_LDADD = -lpthread -ldl

tools_arena_preload_preload_check_module_so_SOURCES = tools/arena-preload/preload-check-module.c
tools_arena_preload_preload_check_module_so_CFLAGS = $(AM_CFLAGS) -fPIC
# libtool takes -shared for itself when it links a program
tools_arena_preload_preload_check_module_so_LDFLAGS = -XCClinker -shared

# What names the program by its path is made for the directories that it is installed to.
PRELOAD_IN = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@libexecdir[@]|$(libexecdir)|g' $(srcdir)/$@.in >$@

systemdsystemunitdir = $(prefix)/lib/systemd/system
nodist_systemdsystemunit_DATA = \
	tools/arena-preload/arena-preload-trial.service \
	tools/arena-preload/arena-preload-booted.service
INITRAMFS_HOOK = tools/arena-preload/initramfs/hook
noinst_DATA = $(INITRAMFS_HOOK)
nodist_man_MANS += man/arena-preload.8
CLEANFILES += $(nodist_systemdsystemunit_DATA) $(INITRAMFS_HOOK) man/arena-preload.8
tools/arena-preload/arena-preload-trial.service: tools/arena-preload/arena-preload-trial.service.in Makefile
	$(PRELOAD_IN)
tools/arena-preload/arena-preload-booted.service: tools/arena-preload/arena-preload-booted.service.in Makefile
	$(PRELOAD_IN)
$(INITRAMFS_HOOK): tools/arena-preload/initramfs/hook.in Makefile
	$(PRELOAD_IN)
man/arena-preload.8: man/arena-preload.8.in Makefile
	$(PRELOAD_IN)

# bash-completion looks for a file with the command's own name.
preloadcompletiondir = $(datadir)/bash-completion/completions
nodist_preloadcompletion_DATA = tools/arena-preload/completion/arena-preload
CLEANFILES += $(nodist_preloadcompletion_DATA)
tools/arena-preload/completion/arena-preload: tools/arena-preload/arena-preload.bash-completion
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/tools/arena-preload/arena-preload.bash-completion $@
preloadzshdir = $(datadir)/zsh/site-functions
dist_preloadzsh_DATA = tools/arena-preload/_arena-preload

# The unit that clears the count of boots is on wherever it is installed, without a
# maintainer script: with no count there is nothing for it to do.
install-data-hook: install-arena-preload-guard
install-arena-preload-guard: $(INITRAMFS_HOOK)
	$(MKDIR_P) "$(DESTDIR)$(initramfsdir)/hooks" \
		"$(DESTDIR)$(initramfsdir)/scripts/local-bottom" \
		"$(DESTDIR)$(systemdsystemunitdir)/multi-user.target.wants"
	$(INSTALL_SCRIPT) $(INITRAMFS_HOOK) \
		"$(DESTDIR)$(initramfsdir)/hooks/arena-preload"
	$(INSTALL_SCRIPT) "$(srcdir)/tools/arena-preload/initramfs/local-bottom" \
		"$(DESTDIR)$(initramfsdir)/scripts/local-bottom/arena-preload"
	cd "$(DESTDIR)$(systemdsystemunitdir)/multi-user.target.wants" && \
		rm -f arena-preload-booted.service && \
		$(LN_S) ../arena-preload-booted.service .

uninstall-hook: uninstall-arena-preload-guard
uninstall-arena-preload-guard:
	rm -f "$(DESTDIR)$(initramfsdir)/hooks/arena-preload" \
		"$(DESTDIR)$(initramfsdir)/scripts/local-bottom/arena-preload" \
		"$(DESTDIR)$(systemdsystemunitdir)/multi-user.target.wants/arena-preload-booted.service"
