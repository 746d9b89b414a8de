#!/bin/sh
# netns_hosts.sh FLAVOUR HOSTS RANKS COMMAND...: runs a command in so many processes, dealt out to so many "machines":
# network namespaces with host names of their own, joined by a bridge in one more, that meet by TCP alone. FLAVOUR is
# openmpi or mpich. For root with the right to make namespaces; `netns_hosts.sh check` tells whether it is there. What
# was made is taken down at the end, however it comes.
set -u
prefix=sc$$
agent=

cleanup() {
    trap - EXIT INT TERM
    for space in $(ip netns list 2>/dev/null | sed -n "s/^\(${prefix}_[0-9a-z]*\).*/\1/p"); do
        for process in $(ip netns pids "$space" 2>/dev/null); do kill -9 "$process" 2>/dev/null; done
        ip netns delete "$space"
    done
    rm -f "$agent"
}

# space NAME: a namespace with its loopback up.
space() { ip netns add "${prefix}_$1" && ip -n "${prefix}_$1" link set lo up; }

# host I: namespace I, joined to the bridge as 10.77.0.I.
host() {
    space "$1" &&
        ip -n "${prefix}_$1" link add eth0 type veth peer name "port$1" netns "${prefix}_sw" &&
        ip -n "${prefix}_sw" link set "port$1" master bridge up &&
        ip -n "${prefix}_$1" address add "10.77.0.$1/24" dev eth0 &&
        ip -n "${prefix}_$1" link set eth0 up
}

build() {
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    space sw && ip -n "${prefix}_sw" link add bridge type bridge && ip -n "${prefix}_sw" link set bridge up || return
    i=1
    while [ $i -le "$1" ]; do
        host $i || return
        i=$((i + 1))
    done
    # Called as ssh is: options, a host, a command for its shell.
    agent=$(mktemp) && chmod +x "$agent" && cat >"$agent" <<END
#!/bin/sh
while case \$1 in -*) ;; *) false ;; esac do shift; done
number=\${1##*.}
shift
exec ip netns exec ${prefix}_\$number unshare -u sh -c 'hostname sechost'\$number'; exec sh -c "\$*"' sh "\$@"
END
}

if [ "$1" = check ]; then
    command -v ip unshare >/dev/null && build 2 2>/dev/null &&
        [ "$("$agent" -x 10.77.0.2 hostname)" = sechost2 ]
    exit
fi

flavour=$1 hosts=$2 ranks=$3
shift 3
build "$hosts" || { echo "netns_hosts: no namespaces here" >&2; exit 1; }
slots=$(((ranks + hosts - 1) / hosts))
list=$(seq -f "10.77.0.%g:$slots" -s , "$hosts")
case $flavour in
openmpi)
    for name in PATH LUA_PATH_5_4 LUA_CPATH_5_4 OMP_NUM_THREADS SECATEUR_CPU; do
        eval "test -z \"\${$name:-}\"" || set -- -x "$name" "$@"
    done
    set -- mpirun.openmpi -n "$ranks" --host "$list" --oversubscribe --bind-to none --mca plm rsh \
        --mca plm_rsh_agent "$agent" --mca btl self,tcp --mca btl_tcp_if_include 10.77.0.0/24 \
        --mca oob_tcp_if_include 10.77.0.0/24 "$@"
    ;;
mpich)
    set -- mpirun.mpich -n "$ranks" -hosts "$list" -localhost 10.77.0.1 -launcher ssh -launcher-exec "$agent" \
        -genv FI_PROVIDER tcp -genv UCX_TLS tcp "$@"
    ;;
esac
# A shell hears signals while it waits, and not while a command of its own runs.
ip netns exec "${prefix}_1" unshare -u sh -c 'hostname sechost1; exec "$@"' sh "$@" &
wait $!
