# SPDX-License-Identifier: MIT
#
# memcheck.sh - memcheck understands the blocks of a library that was configured --with-valgrind:
# mistakes of a program are reported as with libc's malloc, and a program without any is clean.
# The core is compiled anew from the configured tree, with the requests on.

. "$TOP_SRCDIR/tests/build/lib.sh"

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 77
}

# The files that src/local.mk lists as the core.
core_files()
{
	sed -n '/^CORE_FILES/,/^$/{s/^CORE_FILES = *//;s/\\$//;p}' "$TOP_SRCDIR/src/local.mk"
}

build()
{
	local file core=()

	for file in $(core_files); do
		core+=("$TOP_SRCDIR/$file")
	done
	# shellcheck disable=SC2086 # CC may have arguments
	sed 's/^#define ARN_VALGRIND .*/#define ARN_VALGRIND 1/' "$TOP_BUILDDIR/config.h" \
		>"$scratch/config.h" && cd "$scratch" && mkdir -p core && cd core &&
	$CC -std=gnu11 -O1 -g -w -DHAVE_CONFIG_H -I"$scratch" -I"$TOP_SRCDIR/include" \
		-fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc \
		-fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free -c "${core[@]}" &&
	$CC -std=gnu11 -O0 -g -w -I"$TOP_SRCDIR/include" -o "$scratch/blocks" \
		"$TOP_SRCDIR/tests/valgrind/blocks.c" ./*.o -lpthread
}

# memcheck MISTAKE: its report in $scratch/report, its status (9: errors were reported).
memcheck()
{
	valgrind -q --leak-check=full --error-exitcode=9 "$scratch/blocks" "$1" \
		>"$scratch/report" 2>&1
}

clean()
{
	memcheck clean || { cat "$scratch/report"; return 1; }
	# Its own last lines, about the ranges of our metadata, are all it may say.
	! grep -v -e 'WARNING: ' -e ' ClientReq$' -e '^==[0-9]*== *$' "$scratch/report"
}

# reports MISTAKE TEXT...: each text is in the report.
reports()
{
	local mistake=$1 text
	shift
	if memcheck "$mistake"; then
		echo "memcheck found nothing"
		return 1
	fi
	for text in "$@"; do
		grep -q -e "$text" "$scratch/report" || {
			echo "not said: $text"
			cat "$scratch/report"
			return 1
		}
	done
}

command -v valgrind >/dev/null || skip_all "valgrind is not installed"
echo '#include <valgrind/memcheck.h>
int main(void) { return 0; }' >"$scratch/probe.c"
# shellcheck disable=SC2086 # as above
$CC -o "$scratch/probe" "$scratch/probe.c" 2>/dev/null ||
	skip_all "valgrind/memcheck.h is not installed"
valgrind -q "$scratch/probe" 2>/dev/null || skip_all "valgrind does not run what $CC makes"

row "the core compiles with the requests" build
row "a program without a mistake is clean" clean
row "lost blocks are reported with the size that was asked" reports lose \
	'123 bytes in 1 blocks are definitely lost' \
	'50,001 bytes in 1 blocks are definitely lost' \
	'5,000,001 bytes in 1 blocks are definitely lost' \
	'by 0x[0-9A-F]*: lose '
row "use of a small block after free" reports use-small 'Invalid read of size 1' \
	"is 3 bytes inside a block of size 64 free'd"
row "use of a large block after free" reports use-large 'Invalid read of size 1' \
	"is 3 bytes inside a block of size 100,000 free'd"
row "use of a huge block after free" reports use-huge 'Invalid read of size 1' \
	"is 3 bytes inside a block of size 6,000,000 free'd"
row "a write beyond the size that was asked" reports beyond 'Invalid write of size 1' \
	"is 0 bytes after a block of size 100 alloc'd"
row "use of what was never written" reports uninitialised \
	'Conditional jump or move depends on uninitialised value'
row "a second free" reports free-twice 'Invalid free()' "block of size 100 free'd"
done_testing
