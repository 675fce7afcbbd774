#!/bin/sh
# Checks for the programs that the end-to-end tests need, in addition to Go. Root on Debian
# installs what is missing. For other users and systems the script prints the command that
# installs it, and fails. (Ubuntu's own chromium and firefox are snaps; they are not tested.)
set -eu

apt= dnf= brew= missing=

# need <program> <Debian package> <Fedora package> <Homebrew formula>
need() {
	command -v "$1" >/dev/null 2>&1 && return
	missing="$missing $1" apt="$apt $2" dnf="$dnf $3" brew="$brew $4"
}

need chromium chromium chromium chromium
# Debian has the one with long support. Any other will do.
command -v firefox >/dev/null 2>&1 || need firefox-esr firefox-esr firefox firefox
need prometheus prometheus golang-github-prometheus prometheus
need promtool prometheus golang-github-prometheus prometheus
need redis-server redis-server redis redis
need nginx nginx-light nginx nginx
need curl curl curl curl
need jq jq jq jq
need dpkg-divert dpkg dpkg dpkg
need openssl openssl openssl openssl
need node nodejs nodejs node
need npm npm nodejs-npm node
need aws awscli awscli2 awscli
need s3cmd s3cmd s3cmd s3cmd
python3 -c 'import boto3' 2>/dev/null || need boto3 python3-boto3 python3-boto3 python-boto3

if [ -z "$missing" ]; then
	exit
fi
echo "The end-to-end tests need programs that are not installed:$missing" >&2

if command -v apt-get >/dev/null 2>&1; then
	if [ "$(id -u)" = 0 ]; then
		echo "Installing Debian's packages:$apt" >&2
		apt-get update
		DEBIAN_FRONTEND=noninteractive apt-get install -y $apt
		exit
	fi
	command="sudo apt-get update && sudo apt-get install -y$apt"
elif command -v dnf >/dev/null 2>&1; then
	command="sudo dnf install -y$dnf"
elif command -v brew >/dev/null 2>&1; then
	command="brew install$brew"
else
	echo "Install them, so that they are found in the PATH." >&2
	exit 1
fi
echo "Install them with: $command" >&2
exit 1
