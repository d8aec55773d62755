#!/bin/bash
# SPDX-License-Identifier: MIT
#
# libreoffice.sh - LibreOffice converts a document of text, lists, tables and a picture to ODT, DOCX and
# PDF, and back; the pages of the PDF are painted and compared by checksum.

. "$(dirname "$0")/lib.sh"
packages libreoffice-writer-nogui fonts-dejavu-core poppler-utils unzip
what="LibreOffice $(version_of libreoffice-writer-nogui | sed 's/^[0-9]*://; s/-.*//')"
how="converts a document of 60 chapters to ODT, DOCX, PDF and back; text and painted pages compared"
least=8
ran=soffice.bin

suite() {
	export HOME=$PWD SAL_USE_VCLPLUGIN=svp
	awk 'BEGIN {
		print "<html><head><meta charset=utf-8><title>t</title></head><body>"
		for (c = 1; c <= 60; c++) {
			print "<h1>Chapter " c "</h1>"
			for (p = 0; p < 6; p++) {
				printf "<p>"
				for (w = 0; w < 80; w++)
					printf "<%s>w%d</%s> ", w % 9 ? "span" : "b", w * c * 7919 % 10007, w % 9 ? "span" : "b"
				print "</p>"
			}
			print "<table border=1>"
			for (r = 0; r < 8; r++) {
				printf "<tr>"
				for (k = 0; k < 5; k++)
					printf "<td>%d</td>", r * k * c
				print "</tr>"
			}
			print "</table><ul><li>one<li>two<ol><li>three</ol></ul>"
		}
		print "</body></html>"
	}' >book.html
	office odt:writer8 book.html --infilter='HTML (StarWriter)'
	office docx book.odt
	office pdf book.odt
	mv book.pdf first.pdf
	office rtf book.docx
	office pdf book.rtf
	for f in odt docx; do
		unzip -p book.$f | sed 's/[0-9-]*T[0-9:.]*Z\?//g' | wc -c | awk -v f=$f '{ print f ":" ($1 > 10000) " pass" }' >&3
	done
	for f in first book; do
		pdftotext $f.pdf - | md5sum | sed "s/ .*//; s/.*/$f-text:& pass/" >&3
		pdftoppm -r 30 -gray $f.pdf page-$f
		cat page-$f-*.pgm | md5sum | sed "s/ .*//; s/.*/$f-$(ls page-$f-*.pgm | wc -l)-pages:& pass/" >&3
	done
}

office() {
	local to=$1
	shift
	timeout 300 soffice --headless --convert-to "$to" "$@"
	echo "to-${to%%:*}-$1:exit-$? $([ -s "${1%.*}.${to%%:*}" ] && echo pass || echo fail)" >&3
}

compare
