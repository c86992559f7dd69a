#!/bin/sh
# Print the interpreter that `make` takes: of those from Python 3.11 to 3.14 in PATH that run and have what `venv` needs, the first that was
# built with profile-guided optimisation, or else the first. One in /usr/bin counts as built that way: distributions do it, and Debian's does
# not say so. With an argument, print instead how that interpreter was built.
built() {
    "$1" -c '
import ensurepip, os, sys, sysconfig
says = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
print("with" if says or os.path.dirname(os.path.realpath(sys.executable)) == "/usr/bin" else "without")' 2>/dev/null
}

if [ "$#" -gt 0 ]; then
    echo "built $(built "$1") profile-guided optimisation"
    exit
fi
first=""
IFS=:
for name in python3.11 python3.12 python3.13 python3.14; do
    for folder in $PATH; do
        [ -x "$folder/$name" ] || continue
        how=$(built "$folder/$name") || continue
        [ "$how" = with ] && echo "$folder/$name" && exit
        first=${first:-$folder/$name}
    done
done
echo "$first"
