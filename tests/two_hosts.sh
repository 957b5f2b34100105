#!/usr/bin/env bash
# Shows that cilkit runs on two machines, and survives a cut of the line between them.
#
# The machines are two network namespaces of this one: each has a network of its own, with nothing
# in it but one end of a virtual cable. They share no folder either: each has its own for results.
# Needs root and `ip` (Debian's package iproute2); takes three to eight minutes.
#
#     sudo make hosts                          # cut for 25 seconds: torchrun goes on by itself
#     sudo CUT=90 make hosts                   # cut for longer: both commands are started again
#     sudo CUT=90 WAIT=300 make hosts          # torchrun, told to wait longer, goes on by itself
#
# What brings a run back depends on the length of the cut. Within WAIT seconds the two torchruns
# start both processes again, from the last checkpoint, with no hand. After that they give up: start
# the same command again on both hosts, with --resume. On one of them alone is not enough, see
# TORCH_DISABLE_SHARE_RDZV_TCP_STORE below. Either way the records are those of a run without a cut.
#
# EPOCHS, TIMEOUT, CUT, WAIT and BIN may be set in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

BIN=${BIN:-$PWD/.venv/bin}
EPOCHS=${EPOCHS:-4}    # of each of the five stages
TIMEOUT=${TIMEOUT:-15} # seconds until a process gives the other one up; more on a crowded machine
CUT=${CUT:-25}         # seconds without the line: more than TIMEOUT, or nobody would give up
WAIT=${WAIT:-60}       # seconds until a torchrun gives the other one up; 60 unless it is told
CUT_AFTER=10           # records: the run is at the end of its second stage then
PATIENCE=600           # seconds after which a run that does not end counts as hanging

SPACE=([1]="cilkit-$$-1" [2]="cilkit-$$-2") # names that only this script can have made
CABLE=([1]=one [2]=two)
ADDRESS=([1]=10.77.0.1 [2]=10.77.0.2)
PORT=29511
AGENT=() # the process number of each host's torchrun; 0 is the run on one host

refuse() {
    echo "two_hosts.sh: $1" >&2
    exit 2
}

fail() {
    echo "two_hosts.sh: $1; the logs are in $WORK" >&2
    KEEP=yes
    exit 1
}

[[ $(id -u) == 0 ]] || refuse "only root can make network namespaces; run it with sudo"
command -v ip >/dev/null || refuse "the command ip is missing; apt-get install iproute2"
[[ -x $BIN/torchrun ]] || refuse "$BIN/torchrun is missing; run 'make .venv/ready', or set BIN"
ip netns add "${SPACE[1]}" 2>/dev/null || refuse "this machine allows no network namespaces"

WORK=$(mktemp -d)
KEEP=no
export TMPDIR=$WORK # torchrun leaves folders behind when it is killed

clean_up() {
    local space
    kill "${AGENT[0]:-}" 2>/dev/null || true # torchrun ends its processes when asked to
    for space in "${SPACE[@]}"; do
        # Whatever runs in these namespaces was started here.
        ip netns pids "$space" 2>/dev/null | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
        ip netns delete "$space" 2>/dev/null || true # the cable goes with it
    done
    wait # for the killed: they might still write
    [[ $KEEP == yes ]] || rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

lay_cable() {
    local host
    ip netns add "${SPACE[2]}"
    ip link add "${CABLE[1]}" netns "${SPACE[1]}" type veth \
        peer name "${CABLE[2]}" netns "${SPACE[2]}" || refuse "this machine has no virtual cables"
    for host in 1 2; do
        ip -n "${SPACE[host]}" address add "${ADDRESS[host]}/24" dev "${CABLE[host]}"
        ip -n "${SPACE[host]}" link set lo up # torchrun and its processes talk on one host, too
        ip -n "${SPACE[host]}" link set "${CABLE[host]}" up
    done
}

# What each run does. CUDA_VISIBLE_DEVICES is empty because NCCL refuses two processes on one GPU,
# which is what two hosts on this machine would come to.
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=
RUN=(-m cilkit run --preset digits --method wa --epochs "$EPOCHS" --timeout "$TIMEOUT")

# on_host HOST OUT [OPTION...]: start one host's half of a run in the background.
#
# Both namespaces have this machine's name, which means 127.0.0.1 in each, and no name service. So
# what torch looks up by name must be told; machines that know each other by name need none of this:
#   --local-addr         what the others are to call this host
#   is_host              the first host keeps the meeting point; its name does not tell it so
#   GLOO_SOCKET_IFNAME   where gloo listens
# The lowest --local-addr, compared as text, gets process 0, which writes the results.
#
# TORCH_DISABLE_SHARE_RDZV_TCP_STORE: each start gets a new table of addresses. In torch's shared one,
# a process that is started again may read where the other one listened before (pytorch issue
# 135712), and a torchrun that is started again waits in vain for the one that stayed (torch 2.14).
# LOGLEVEL makes torchrun tell when it starts processes again.
on_host() {
    local host=$1 out=$2
    shift 2
    ip netns exec "${SPACE[host]}" env \
        GLOO_SOCKET_IFNAME="${CABLE[host]}" TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 LOGLEVEL=INFO \
        "$BIN/torchrun" --nnodes 2 --nproc-per-node 1 --max-restarts 3 \
        --rdzv-backend c10d --rdzv-endpoint "${ADDRESS[1]}:$PORT" --rdzv-id cilkit \
        --rdzv-conf "is_host=$((host == 1)),read_timeout=$WAIT" --local-addr "${ADDRESS[host]}" \
        "${RUN[@]}" --out "$out" "$@" >>"$out.log" 2>&1 &
    AGENT[host]=$!
}

# on_both NAME [OPTION...]: start both hosts' halves.
on_both() {
    local name=$1
    shift
    on_host 1 "$WORK/$name-host1" "$@"
    on_host 2 "$WORK/$name-host2" "$@"
}

# both_end: wait for both hosts; tell whether both ended well.
both_end() {
    local host status=0 deadline=$((SECONDS + PATIENCE))
    for host in 1 2; do
        while kill -0 "${AGENT[host]}" 2>/dev/null; do
            ((SECONDS < deadline)) || fail "host $host hangs"
            sleep 1
        done
        wait "${AGENT[host]}" || status=1
    done
    return "$status"
}

records_in() {
    { wc -l <"$1/records.jsonl"; } 2>/dev/null || echo 0
}

# wait_for_records FOLDER COUNT: wait until a run has come so far.
wait_for_records() {
    local deadline=$((SECONDS + PATIENCE))
    until (($(records_in "$1") >= $2)); do
        if ! kill -0 "${AGENT[1]}" || ! kill -0 "${AGENT[2]}"; then
            fail "a host ended before the cut"
        fi 2>/dev/null
        ((SECONDS < deadline)) || fail "the run does not get to record $2"
        sleep 0.2
    done
}

# check NAME: compare host 1's records with those of the run on one host; host 2 must have none.
check() {
    "$BIN/python" - "$WORK/one-host" "$WORK/$1-host1" <<'PYTHON' || fail "$1: the records differ"
import sys
from dataclasses import fields
from pathlib import Path

from cilkit import read_records
from cilkit.runs.records import stage_records

expected, found = (read_records(Path(folder)) for folder in sys.argv[1:])
if sum(bool(record.fingerprint) for record in stage_records(expected)) != 5:
    sys.exit("  the run on one host has not left five stages with fingerprints")
if len(expected) != len(found):
    sys.exit(f"  {len(expected)} records on one host, {len(found)} on two")
for number, (one, two) in enumerate(zip(expected, found, strict=True), start=1):
    if one != two:  # but for the hour, the machine and how long it took
        names = [f.name for f in fields(one) if f.compare]
        differ = [name for name in names if getattr(one, name, None) != getattr(two, name, None)]
        sys.exit(f"  record {number}, {type(one).__name__}: {', '.join(differ)}")
PYTHON
    [[ ! -e $WORK/$1-host2 ]] || fail "$1: host 2 made a folder, which only process 0 should"
}

lay_cable

start=$SECONDS
"$BIN/torchrun" --standalone --nproc-per-node 2 "${RUN[@]}" \
    --out "$WORK/one-host" >"$WORK/one-host.log" 2>&1 &
AGENT[0]=$!
wait "${AGENT[0]}" || fail "the run on one host breaks off"
unset 'AGENT[0]'
echo "one host, two processes: $(records_in "$WORK/one-host") records; $((SECONDS - start)) s"

start=$SECONDS
on_both whole
both_end || fail "the run on two hosts breaks off"
check whole
echo "two hosts: the same records, and host 2 needs no folder; $((SECONDS - start)) s"

start=$SECONDS
on_both cut
wait_for_records "$WORK/cut-host1" "$CUT_AFTER"
ip -n "${SPACE[2]}" link set "${CABLE[2]}" down
echo "two hosts: host 2 is cut off for $CUT s after $(records_in "$WORK/cut-host1") records"
sleep "$CUT"
ip -n "${SPACE[2]}" link set "${CABLE[2]}" up
if both_end; then
    how="torchrun started both processes again"
else # after WAIT seconds without the line, host 2's torchrun gives up, and ends that of host 1
    how="both torchruns gave up, so both commands were started again with --resume"
    on_both cut --resume
    both_end || fail "the run does not go on after the cut"
fi
for host in 1 2; do
    grep -q "lost touch" "$WORK/cut-host$host.log" || fail "host $host never noticed the cut"
done
check cut
echo "two hosts: $how;"
echo "  the same records as without a cut; $((SECONDS - start)) s"
