# SPDX-License-Identifier: MIT
#
# arn_flags.m4 - try compiler and linker flags one by one and keep those that work.
# The probes use -Werror, since clang only warns about a flag that it does not know; the user's
# CFLAGS and LDFLAGS are put back unchanged.

# ARN_CFLAGS_IF(VARIABLE, FLAGS): append to VARIABLE, and substitute it, each flag that compiles.
AC_DEFUN([ARN_CFLAGS_IF], [
	m4_foreach_w([arn_flag], [$2], [
		AS_VAR_PUSHDEF([arn_cache], [arn_cv_cflag_[]arn_flag])
		AC_CACHE_CHECK([whether $CC takes arn_flag], [arn_cache], [
			arn_save_CFLAGS=$CFLAGS
			CFLAGS="$CFLAGS -Werror arn_flag"
			AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int arn_probe;]])],
				[AS_VAR_SET([arn_cache], [yes])], [AS_VAR_SET([arn_cache], [no])])
			CFLAGS=$arn_save_CFLAGS])
		AS_VAR_IF([arn_cache], [yes], [AS_VAR_APPEND([$1], [" arn_flag"])])
		AS_VAR_POPDEF([arn_cache])])
	AC_SUBST([$1])])

# ARN_LDFLAGS_IF(VARIABLE, FLAGS): the same for flags of the linker.
AC_DEFUN([ARN_LDFLAGS_IF], [
	m4_foreach_w([arn_flag], [$2], [
		AS_VAR_PUSHDEF([arn_cache], [arn_cv_ldflag_[]arn_flag])
		AC_CACHE_CHECK([whether the linker takes arn_flag], [arn_cache], [
			arn_save_LDFLAGS=$LDFLAGS
			LDFLAGS="$LDFLAGS arn_flag"
			AC_LINK_IFELSE([AC_LANG_PROGRAM()],
				[AS_VAR_SET([arn_cache], [yes])], [AS_VAR_SET([arn_cache], [no])])
			LDFLAGS=$arn_save_LDFLAGS])
		AS_VAR_IF([arn_cache], [yes], [AS_VAR_APPEND([$1], [" arn_flag"])])
		AS_VAR_POPDEF([arn_cache])])
	AC_SUBST([$1])])

# ARN_LINKER_SCRIPT_IF(VARIABLE, FILE): append to VARIABLE what adds the linker script FILE, of the
# source directory, to the linker's own (it has an INSERT command), if a shared library can be linked so.
AC_DEFUN([ARN_LINKER_SCRIPT_IF], [
	AS_VAR_PUSHDEF([arn_cache], [arn_cv_script_$2])
	AC_CACHE_CHECK([whether the linker follows $2], [arn_cache], [
		arn_save_CFLAGS=$CFLAGS
		arn_save_LDFLAGS=$LDFLAGS
		CFLAGS="$CFLAGS -fPIC"
		LDFLAGS="$LDFLAGS -shared -nostartfiles -Wl,-z,relro -Wl,-z,now -Wl,--fatal-warnings -Wl,-T,$srcdir/$2"
		AC_LINK_IFELSE([AC_LANG_SOURCE([[
				#include <stdlib.h>
				int arn_data = 1, *arn_pointer = &arn_data, arn_bss;
				int *const arn_constant = &arn_data;
				int arn_probe(void) { return abs(arn_bss); }]])],
			[AS_VAR_SET([arn_cache], [yes])], [AS_VAR_SET([arn_cache], [no])])
		CFLAGS=$arn_save_CFLAGS
		LDFLAGS=$arn_save_LDFLAGS])
	AS_VAR_IF([arn_cache], [yes], [AS_VAR_APPEND([$1], [' -Wl,-T,$(top_srcdir)/$2'])])
	AS_VAR_POPDEF([arn_cache])
	AC_SUBST([$1])])
