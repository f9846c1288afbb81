# shellcheck shell=bash
# What the scripts of this directory share. A script goes to the repository's root, sources this,
# and has a trap that calls clean_up.

titles=${TITLES:-/tmp/reelring-titles}
titles_count=6
export PYTHONDONTWRITEBYTECODE=1
# Thousands of viewers have five descriptors each, and some servers more.
ulimit -Hn "$(cat /proc/sys/fs/nr_open)" 2>/dev/null || true
ulimit -Sn "$(($(ulimit -Hn) < 262144 ? $(ulimit -Hn) : 262144))" 2>/dev/null || true
server_cpu=0 load_cpu=1 port=${PORT:-22900}
duration=12s ramp_seconds=10 start=begin judged=500
generator=target/release/reelring-load reelring=target/release/reelring
server='' namespace='' scratch='' host=127.0.0.1 results='' urls=()

# The comment at the head of the script.
usage() {
    sed -n '2,/^[^#]/s/^# \?//p' "$0"
}

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

prepare() {
    scratch=$(mktemp -d)
    perf/titles.sh "$titles" "$titles_count"
    mkdir -p "$results"
}

build() {
    cargo build --release --quiet --package server --package tools --bin reelring --bin reelring-load
}

clean_up() {
    stop_server
    network_down
    [ -z "$scratch" ] || rm -rf "$scratch"
}

machine() {
    echo "$(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), Linux $(uname -r), $(date +%F)," \
        "commit $(commit)"
}

commit() {
    echo "$(git rev-parse --short HEAD)$(git diff --quiet HEAD -- . ':!perf/results' || echo ' and changes')"
}

# A network of the generator's own, in which the media of viewers who are not judged is dropped
# where it leaves the wire (reelring-load --help). Needs root; without, all is on loopback.
network_up() {
    if [ "$(id -u)" != 0 ] || ! PATH=$PATH:/usr/sbin command -v nft >/dev/null; then
        echo "not root, or no nft: on loopback, and every viewer is judged" >&2
        return 0
    fi
    local octet=$((64 + $$ % 64)) link=rl$$
    viewers_net=10.$((octet + 64))
    host=10.$octet.0.1
    namespace=reelring-load-$$
    ip netns add "$namespace"
    ip link add "${link}a" type veth peer name "${link}b" netns "$namespace"
    ip addr add "$host/30" dev "${link}a"
    ip link set "${link}a" up
    ip -n "$namespace" addr add "10.$octet.0.2/30" dev "${link}b"
    ip -n "$namespace" link set "${link}b" up
    ip -n "$namespace" link set lo up
    ip route add "$viewers_net.0.0/16" via "10.$octet.0.2"
    ip -n "$namespace" route add local "$viewers_net.0.0/16" dev lo
    ip netns exec "$namespace" env PATH="$PATH:/usr/sbin" nft -f - <<RULES
table netdev sink {
  chain ingress {
    type filter hook ingress device ${link}b priority 0;
    ip daddr $viewers_net.128.0/17 udp dport & 1 == 0 counter drop
  }
}
RULES
}

network_down() {
    [ -n "$namespace" ] || return 0
    ip netns del "$namespace" 2>/dev/null || true
    # What is left of it if it never came to be.
    ip link del "rl$$a" 2>/dev/null || true
    namespace=''
}

# Starts a server, whose process takes the place of the command's, and waits until it describes the
# titles at the URLs in the array `urls`.
start_server() {
    taskset -c "$server_cpu" "$@" </dev/null >"$scratch/server" 2>&1 &
    server=$!
    if ! python ready "${urls[@]}" || ! kill -0 "$server" 2>/dev/null; then
        tail -5 "$scratch/server" >&2
        echo "no server at $host:$port: $*" >&2
        stop_server
        return 1
    fi
}

# start_reelring [FLAG…]: starts $reelring.
start_reelring() {
    start_server "$reelring" serve --media "$titles" --listen "$host:$port" \
        --rtp-ports "$((port + 2))-$((port + 33))" --shards 1 --log-format plain "$@" || fail "no server"
}

stop_server() {
    [ -n "$server" ] || return 0
    local signal
    for signal in INT TERM KILL; do
        kill "-$signal" "$server" 2>/dev/null || break
        local tries
        for tries in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 "$server" 2>/dev/null || break 2
            sleep "0.$tries"
        done
    done
    wait "$server" 2>/dev/null || true
    server=''
}

# load VIEWERS FILE [FLAG…]: plays what is at `urls`, and leaves FILE.json and FILE.txt. Viewers for whom one
# process may not have descriptors are left to others, who judge none.
load() {
    local viewers=$1 file=$2 most
    shift 2
    most=$((($(ulimit -Hn) - 200) / 5))
    if [ -z "$namespace" ]; then
        generate "$viewers" "$file" --server-pid "$server" "$@"
        return
    fi
    local here=$((viewers < most ? viewers : most)) parts=() processes=() part=0 rest
    for ((rest = viewers - here; rest > 0; rest -= most)); do
        part=$((part + 1))
        parts+=("$file.part$part")
        generate $((rest < most ? rest : most)) "$file.part$part" --sink 1 \
            --sink-source "$viewers_net.$((128 + 16 * part)).0/20" "$@" &
        processes+=($!)
    done
    generate "$here" "$file" --server-pid "$server" --source "$viewers_net.0.0/17" \
        --sink-source "$viewers_net.128.0/20" --sink "$(sink "$here")" "$@"
    [ $part != 0 ] || return 0
    wait "${processes[@]}"
    python merge "$file.json" "${parts[@]/%/.json}"
    rm "${parts[@]/%/.json}"
}

# generate VIEWERS FILE [FLAG…]: one process of the generator.
generate() {
    local viewers=$1 file=$2
    shift 2
    local ramp=$(((viewers + ramp_seconds - 1) / ramp_seconds))
    local run=(taskset -c "$load_cpu" "$generator" -n "$viewers" --ramp "$ramp/s" --start "$start"
        --duration "$duration" --seed 1 "--json=$file.json" "$@" "${urls[@]}")
    [ -z "$namespace" ] || run=(ip netns exec "$namespace" "${run[@]}")
    echo "\$ ${run[*]}" >"$file.txt"
    "${run[@]}" >>"$file.txt" 2>&1 || true
    [ -s "$file.json" ] || { tail -5 "$file.txt" >&2; fail "the generator left no result"; }
}

# The part of the viewers who are not judged.
sink() {
    awk -v viewers="$1" -v judged="$judged" \
        'BEGIN { printf "%.4f", (viewers > judged) ? 1 - judged / viewers : 0 }'
}

# The titles as this project's server has them.
own_urls() {
    local number
    for number in $(seq "$titles_count"); do echo "rtsp://$host:$port/title$number.mp4"; done
}

# Runs the Python of this directory.
python() {
    python3 "perf/lib/$1.py" "${@:2}"
}

# The same with Matplotlib, which is installed into target/perf unless the system has it.
draw() {
    local interpreter=python3
    if ! python3 -c 'import matplotlib' 2>/dev/null; then
        interpreter=target/perf/venv/bin/python3
        if ! "$interpreter" -c 'import matplotlib' 2>/dev/null; then
            mkdir -p target/perf
            if ! { python3 -m venv target/perf/venv && target/perf/venv/bin/pip install --quiet matplotlib; }; then
                fail "Matplotlib cannot be installed (apt install python3-matplotlib)"
            fi
        fi
    fi
    "$interpreter" perf/lib/draw.py "$@"
}
