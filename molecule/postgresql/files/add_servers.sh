#!/bin/sh
# PgBouncer on port 6432, whose clients share one connection; a standby on port 5433; a role that may only read.
set -eu
cd /
url=$(sed -n 's/^DATABASE_URL=//p' /var/www/photo_album/.env)
password=${url#*//album:} password=${password%@*}

cat > /etc/pgbouncer/pgbouncer.ini <<END
[databases]
album = host=127.0.0.1
[pgbouncer]
listen_addr = 127.0.0.1
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
default_pool_size = 1
END
echo "\"album\" \"$password\"" > /etc/pgbouncer/userlist.txt
systemctl restart pgbouncer

version=$(ls /etc/postgresql)
pg_createcluster --port=5433 "$version" standby -- --no-sync > /dev/null
data=/var/lib/postgresql/$version/standby
rm -r "$data"
runuser -u postgres -- pg_basebackup --no-sync --write-recovery-conf --checkpoint=fast --pgdata="$data"
systemctl start "postgresql@$version-standby"

runuser -u postgres -- psql --quiet --dbname=album --command="
    CREATE ROLE reader LOGIN PASSWORD '$password'; GRANT SELECT ON album_photo TO reader"
