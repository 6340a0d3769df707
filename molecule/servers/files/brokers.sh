# Makes a certificate, and a program for each broker in /opt/brokers.
set -eu
mkdir --parents /opt/brokers && cd /opt/brokers
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout key.pem -out cert.pem \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost
printf 'port 26379\nsentinel monitor mymaster 127.0.0.1 6401 1\n' > sentinel.conf
broker() { printf '#!/bin/sh\nexec /usr/bin/redis-server %s\n' "$2" > "$1" && chmod +x "$1"; }
broker tls "--port 0 --tls-port 6390 --tls-cert-file $PWD/cert.pem --tls-key-file $PWD/key.pem --tls-auth-clients no --tls-ca-cert-file $PWD/cert.pem --save ''"
broker socket "--port 0 --unixsocket /run/redis-socket/redis.sock --unixsocketperm 770 --save ''"
broker master "--port 6401 --save ''"
broker sentinel "$PWD/sentinel.conf --sentinel"
chown --recursive redis .
