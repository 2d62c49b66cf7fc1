#!/usr/bin/env bash
# Run by test_without_rust.py in a mount namespace of its own: a machine that has neither the checkout nor Rust, with the tarball in
# ./dist and an inventory. Installs Ansible and the collection as a user would, and runs site.yml.
#
#   without_rust.sh CHECKOUT PYTHON REQUIREMENT FOLDER...
#
# where the FOLDERs are what Rust is in, beside the programs that are found on the PATH.
set -euo pipefail
checkout=$1 python=$2 requirement=$3
shift 3

hide() {
    [ ! -d "$1" ] || mount -t tmpfs -o size=4k hidden "$1"
}

for folder in "$@" "$checkout"; do
    hide "$folder"
done
for program in cargo rustc rustup; do
    # /dev/null cannot be run.
    while path=$(command -v "$program"); do
        mount --bind /dev/null "$path"
        hash -r
    done
done
[ -z "$(ls -A "$checkout")" ] || { echo "The checkout is not hidden." && exit 1; }

"$python" -m venv venv
venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check "$requirement"
export PATH=$PWD/venv/bin:$PATH
echo "Ansible is there"
ansible-galaxy collection install ./dist/tbot-tpm-*.tar.gz
ansible-playbook tbot.tpm.site -i inventory
echo "The same again"
ansible-playbook tbot.tpm.site -i inventory
