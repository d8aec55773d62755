# SPDX-License-Identifier: MIT
#
# lib.sh - what the suites of real programs share, on top of ../real/lib.sh: sources of Debian
# packages, one run without libarena and one under it, and the comparison.  A script sets
#   what   program and version          how    what of its suite is run, in words
#   least  so many tests must pass without libarena, or nothing was tested
#   known  optional: tests that must differ, and
#   because  why
#   served optional: so many processes at least must have been served
#   ran    programs that must have run under libarena
# defines suite(), which runs the tests and prints lines "NAME pass|fail|skip" on descriptor 3, and
# calls compare.  Whatever else suite() prints is its log.
#
# SUITES_DIR	keeps sources, builds, logs and results (default: a temporary directory); what is
#		there is not made again, the results without libarena neither
# ARENA_LIB	another library to run under, such as a peer's

. "$(dirname "$0")/../real/lib.sh"
name=$(basename "$0" .sh)
if [ -n "${SUITES_DIR:-}" ]; then
	mkdir -p "$SUITES_DIR"
	kept=$(cd "$SUITES_DIR" && pwd)
else
	kept=$scratch/kept
	mkdir "$kept"
fi
exempt='^$'
# Suites drop privileges: they must reach the library, the witness, and what was built.
chmod 755 "$scratch"
install -m 755 "$library" "$scratch/$(basename "$library")"
library=$scratch/$(basename "$library")
# What the witness says of a peer names the copy.
case $testimony in *" not-counted$") testimony=" $library not-counted$";; esac
chmod 755 "$scratch/witness.so"
# What differs from run to run, or from reader to reader.
unset MAKEFLAGS MAKELEVEL MFLAGS LD_PRELOAD DISPLAY
export LC_ALL=C.UTF-8

# packages P...: installed, or the suite is skipped, aloud.
packages() {
	"$here/../../build-aux/need" "$@" >"$scratch/need.log" 2>&1 ||
		skip_all "cannot install $*"
}

# apt with deb-src entries made of the machine's own entries, in a directory of ours.
sources_apt() {
	local apt=$kept/apt f

	if [ ! -d "$apt/lists" ]; then
		mkdir -p "$apt/parts" "$apt/lists/partial"
		for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
			[ ! -e "$f" ] || sed -n 's/^deb /deb-src /p' "$f"
		done >"$apt/parts/list.list"
		for f in /etc/apt/sources.list.d/*.sources; do
			[ ! -e "$f" ] || sed 's/^Types:.*/Types: deb-src/' "$f" >"$apt/parts/$(basename "$f")"
		done
		apt_in "$apt" update
	fi
	apt_in "$apt" "$@"
}

apt_in() {
	local apt=$1 tool=apt-get
	shift
	[ "$1" != showsrc ] || tool=apt-cache
	$tool -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/parts" \
		-o Dir::State::Lists="$apt/lists" -o APT::Sandbox::User=root "$@"
}

# source_of PACKAGE [VERSION]: unpacks Debian's source into $kept/PACKAGE, once.  The version that
# is asked for first; a mirror may have lost its files, then the others it lists.
source_of() {
	local version tree=$kept/$1 log=$kept/$1.source.log

	[ ! -e "$tree/.unpacked" ] || return 0
	need dpkg-source
	sources_apt showsrc "$1" >"$scratch/showsrc" 2>"$log"
	for version in ${2:-} $(sed -n 's/^Version: //p' "$scratch/showsrc" | sort -rV); do
		rm -rf "$tree" "$tree.dl"
		mkdir "$tree.dl"
		(cd "$tree.dl" && sources_apt --download-only source "$1=$version" &&
			dpkg-source -x ./*.dsc "$tree") >>"$log" 2>&1 || continue
		rm -rf "$tree.dl"
		echo "$version" >"$tree/.unpacked"
		return 0
	done
	skip_all "no source of $1 to be had"
}

version_of() {
	dpkg-query -W -f '${Version}' "$1" 2>/dev/null
}

# built PACKAGE COMMAND: COMMAND in the source of PACKAGE, once, without libarena.
built() {
	[ -e "$kept/$1/.built" ] && return
	(cd "$kept/$1" && eval "$2") >"$kept/$1.build.log" 2>&1 || {
		tail -n 20 "$kept/$1.build.log" | sed 's/^/# /'
		skip_all "the source of $1 does not build here"
	}
	touch "$kept/$1/.built"
}

# once FORM NUMBER: one run of the suite; FORM is plain or under.
once() {
	local out=$kept/$name.$1

	rm -rf "$scratch/run"
	mkdir -m 777 "$scratch/run"
	(
		cd "$scratch/run" || exit 99
		exec 3>"$out.raw" >"$out.log" 2>&1 </dev/null
		if [ "$1" = under ]; then
			: >>"$scratch/witness.log"
			chmod 666 "$scratch/witness.log"
			export ARENA_WITNESS=$scratch/witness.log
			export LD_PRELOAD="$library $scratch/witness.so"
		fi
		suite
	)
	sort -u "$out.raw" >"$out.$2"
}

# differ NUMBER: names whose result under libarena is not the one without.
differ() {
	diff "$kept/$name.plain.$1" "$kept/$name.under.$1" | sed -n 's/^[<>] \(.*\) [a-z]*$/\1/p' |
		sort -u >"$scratch/met"
	grep -vxF "${known:-/}" "$scratch/met" >"$scratch/differ.$1"
}

count() {
	grep -c " $2\$" "$kept/$name.$1.1"
}

# counts FORM: "N pass, N fail, N skip".
counts() {
	echo "$(count "$1" pass) pass, $(count "$1" fail) fail, $(count "$1" skip) skip"
}

compare() {
	local same=same unsteady=

	# Kept in SUITES_DIR, one run without libarena serves several libraries.
	[ -s "$kept/$name.plain.1" ] || once plain 1
	[ "$(count plain pass)" -ge "$least" ]
	row $? "$what: $how: without libarena $(counts plain)"
	once under 1
	differ 1
	cp "$scratch/differ.1" "$scratch/differ"
	if [ -s "$scratch/differ" ]; then
		# A test that fails now and then fails without libarena too: a second run of both, and
		# what differs there again is a difference.
		once plain 2
		once under 2
		differ 2
		comm -12 "$scratch/differ.1" "$scratch/differ.2" >"$scratch/differ"
		unsteady=$(comm -23 "$scratch/differ.1" "$scratch/differ.2" | tr '\n' ' ')
		[ -z "$unsteady" ] || echo "# only in one run of two: $unsteady"
	fi
	! grep -qxF "${known:-/}" "$scratch/met" || same="same but for $known, which $because"
	echo "# $same"
	sed 's/^/# differs: /' "$scratch/differ"
	[ ! -s "$scratch/differ" ]
	row $? "the same results under libarena: $(counts under)"
	[ ! -s "$scratch/differ" ] || same="**differs**: $(tr '\n' ' ' <"$scratch/differ")"
	cp "$kept/$name.under.log" "$scratch/err"
	grep -Ev "$exempt" "$scratch/witness.log" >"$scratch/witness.mine"
	mv "$scratch/witness.mine" "$scratch/witness.log"
	processes=$(wc -l <"$scratch/witness.log")
	[ "$processes" -ge "${served:-1}" ]
	row $? "at least ${served:-1} processes ran: $processes"
	sed 's/ .*//' "$scratch/witness.log" | sort | uniq -c | sort -rn | head -5 |
		awk '{ printf "# %d processes: %s\n", $1, $2 }'
	# shellcheck disable=SC2086 # words
	proved $ran
	[ $failures -eq 0 ] || [ -s "$scratch/differ" ] || same="**see its log**"
	printf '%s\n' "| $what | $how | $(counts plain) | $(counts under) | $same${unsteady:+; once, not again: $unsteady} | $processes |" \
		>"$kept/$name.$(basename "$library").row"
	done_testing
}
