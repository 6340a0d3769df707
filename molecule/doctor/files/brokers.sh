# Makes a program for each broker in /opt/brokers: Redis with one thing that is wrong.
set -eu
mkdir --parents /opt/brokers && cd /opt/brokers
broker() {
    name=$1 && shift
    printf '#!/bin/sh\nexec /usr/bin/redis-server --bind 127.0.0.1 --supervised systemd %s\n' "$*" > "$name"
    chmod +x "$name"
}
save='--save 3600 1 --dir /run'
broker evicting "$save --port 6381 --maxmemory 100mb --maxmemory-policy allkeys-lru"
broker volatile "$save --port 6382 --maxmemory 100mb --maxmemory-policy volatile-ttl"
broker forgetful --port 6383 --save '""'
broker full "$save --port 6384"
broker unsaved --save 3600 1 --dir /proc --port 6385 --stop-writes-on-bgsave-error no
