#!/bin/sh
# The role and the database album, with a password that only .env has, which root and the application can read. Only once.
set -eu
! grep -q ^DATABASE_URL= .env || exit 0
password=$(od --address-radix=n --format=x8 --read-bytes=24 /dev/urandom | tr -d ' \n')
runuser -u postgres -- psql --quiet --set=ON_ERROR_STOP=1 --dbname=postgres <<END
CREATE ROLE album LOGIN PASSWORD '$password';
CREATE DATABASE album OWNER album;
END
printf '\n# PostgreSQL\nDATABASE_URL=postgres://album:%s@127.0.0.1/album\n' "$password" >> .env
echo made
