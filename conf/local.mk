# SPDX-License-Identifier: MIT
#
# conf/local.mk - the administrator's files as they are installed; an upgrade by hand overwrites them.

dist_sysconf_DATA = conf/arena.conf
arenaconfdir = $(sysconfdir)/arena.conf.d
dist_arenaconf_DATA = conf/50-exceptions.conf
