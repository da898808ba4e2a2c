#!/bin/sh
# Makes the passwords and keys of a deployment in FOLDER, each once: what is there stays.
#
#   deploy/secrets.sh secrets                                 for docker-compose.yml
#   deploy/secrets.sh deploy/kubernetes/example/secrets       for Kubernetes
#
# The folder is closed to others. The files in it are not: containers have users of their own,
# and get the files alone.
set -eu
mkdir -p -m 700 "$1"
cd "$1"
umask 022

characters() {
    LC_ALL=C tr -dc "$1" </dev/urandom | head -c "$2"
}

once() {
    [ -e "$1" ] || { cat >".$1.new" && mv ".$1.new" "$1"; }
}

characters 0-9A-Za-z 43 | once owner.password
characters 0-9A-Za-z 43 | once service.password
# The first keys; those of docker-compose.yml are made by ProfileService itself.
for key in admin service; do
    printf 'deidcascade_%s_%s\n' "$(characters 0-9a-z 12)" "$(characters 0-9A-Za-z 43)" |
        once "$key.key"
done
# Without it, pseudonyms that were made with keys of the sites cannot be made again: keep a copy,
# apart from those of the database.
printf 'deidcascade-key-1:%s\n' "$(head -c 32 /dev/urandom | base64)" | once master.key
