# SPDX-License-Identifier: MIT
#
# table.awk - makes doc/compatibility.md of the results that run-all collected.
# Arguments are COLUMN=FILE; rows come in the order of the first file.  A failure's reason is the
# TAP comment after it, and stands below the table.

function remember(file, column,    line, ok, name, how, at) {
	while ((getline line < file) > 0) {
		if (line ~ /^# / && failed != "") {
			if (!((column, failed) in why))
				why[column, failed] = plain(substr(line, 3))
			continue
		}
		failed = ""
		if (line !~ /^(not )?ok [0-9]+ - /)
			continue
		ok = line ~ /^ok/
		sub(/^(not )?ok [0-9]+ - /, "", line)
		at = index(line, " # SKIP ")
		reason = at ? substr(line, at + 8) : ""
		if (at)
			line = substr(line, 1, at - 1)
		glibc_test = line ~ /^(tst-|mallocbug)/
		if (line ~ /^malloc is that of /)
			continue
		name = line
		sub(/:.*/, "", name)
		how = index(line, ": ") ? substr(line, index(line, ": ") + 2) : ""
		if (!(name in known)) {
			known[name] = 1
			if (glibc_test)
				tests[++test_count] = name
			else {
				rows[++row_count] = name
				what[name] = how
			}
		}
		state[column, name] = reason != "" ? "skipped" : ok ? "passes" : "**fails**"
		if (reason != "")
			skip[column, name] = reason
		if (!ok) {
			failed = name
			if (glibc_test)
				why[column, name] = plain(how)
		}
	}
	close(file)
}

# Without the directories of the machine it ran on, and without what Markdown would take amiss.
function plain(text) {
	text = " " text
	gsub(/[ (>]\/[^ :]*\//, " ", text)
	sub(/^ /, "", text)
	gsub(/`/, "'", text)
	gsub(/_/, "\\_", text)
	return text
}

function heading(first, second,    i, rule) {
	printf "| %s | %s", first, second
	rule = "|---|---"
	for (i = 1; i <= columns; i++) {
		printf " | %s", column[i]
		rule = rule "|---"
	}
	print " |\n" rule "|"
}

function totals(list, count, label,    i, k, good, tried) {
	printf "| **%s** | passed of tried", label
	for (i = 1; i <= columns; i++) {
		good = tried = 0
		for (k = 1; k <= count; k++) {
			good += state[column[i], list[k]] == "passes"
			tried += state[column[i], list[k]] ~ /passes|fails/
		}
		printf " | **%d of %d**", good, tried
	}
	print " |"
}

BEGIN {
	for (i = 1; i < ARGC; i++) {
		at = index(ARGV[i], "=")
		column[++columns] = substr(ARGV[i], 1, at - 1)
		failed = ""
		remember(substr(ARGV[i], at + 1), column[columns])
		have_arena = have_arena || column[columns] ~ /libarena/
	}
	print "# Compatibility: what was tried, how, and what came out\n"
	print "Made by `tests/compat/run-all --table`, never by hand; the machine: " machine ", " glibc \
	      ", Linux " kernel "."
	print "Run on " dates (commit != "" && have_arena ? "; libarena is that of " commit "." : ".")
	print "Each library is preloaded, and each probe shows first, by dladdr, that the library serves malloc."
	print "The peers are those of Debian 12. A probe that hangs is stopped after two minutes."
	print "What changes a whole machine (overcommit, control groups) is tried on one that qemu boots."
	print "Which pitfall has which row: [testing.md](testing.md).\n"
	if (!have_arena)
		print "The column of libarena is missing here: its library was not among the arguments.\n"
	print "## Probes\n"
	heading("what", "how tested")
	for (k = 1; k <= row_count; k++) {
		printf "| %s | %s", rows[k], what[rows[k]]
		for (i = 1; i <= columns; i++)
			printf " | %s", state[column[i], rows[k]]
		print " |"
	}
	totals(rows, row_count, "all")
	print "\n## glibc's own malloc tests\n"
	print "Sources of Debian's glibc-source, built against the installed glibc.\n"
	heading("what", "how tested")
	for (k = 1; k <= test_count; k++) {
		all_skip = 1
		for (i = 1; i <= columns; i++)
			all_skip = all_skip && state[column[i], tests[k]] == "skipped"
		if (all_skip) {
			out[++outs] = tests[k]
			continue
		}
		printf "| %s | glibc-malloc", tests[k]
		for (i = 1; i <= columns; i++)
			printf " | %s", state[column[i], tests[k]]
		print " |"
	}
	totals(tests, test_count, "all")
	print "\nExcluded, because they say nothing about another allocator:\n"
	for (k = 1; k <= outs; k++)
		print "- " out[k] ": " skip[column[1], out[k]]
	for (i = 1; i <= columns; i++) {
		print "\n## Failures and skips of " column[i] "\n"
		for (k = 1; k <= row_count; k++)
			explain(column[i], rows[k])
		for (k = 1; k <= test_count; k++)
			if (state[column[i], tests[k]] == "**fails**")
				explain(column[i], tests[k])
		if (!explained[column[i]])
			print "None."
	}
}

function explain(c, name) {
	if (state[c, name] == "**fails**")
		print "- " name ": " why[c, name]
	else if (state[c, name] == "skipped")
		print "- " name " skipped: " skip[c, name]
	else
		return
	explained[c] = 1
}
