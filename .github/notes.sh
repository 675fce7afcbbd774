#!/bin/sh
# Prints the section of CHANGELOG.md for a version, such as v0.1.0.
set -eu
awk -v heading="## [${1#v}]" '
	index($0, "## [") == 1 { found = index($0, heading) == 1; next }
	found { print }
' "$(dirname "$0")/../CHANGELOG.md"
