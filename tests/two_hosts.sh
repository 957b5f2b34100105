#!/usr/bin/env bash
# Shows that cilkit runs on two machines, and survives a cut of the line between them.
#
# The machines are two network namespaces of this one: each has a network of its own, with nothing
# in it but one end of a virtual cable. Disks are not shared either: each host gets a folder of its
# own for its results. Needs root and `ip` (Debian's package iproute2); about four minutes.
#
#     sudo tests/two_hosts.sh
#
# EPOCHS, TIMEOUT, CUT and BIN may be set in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

BIN=${BIN:-$PWD/.venv/bin}
EPOCHS=${EPOCHS:-4}    # of each of the five stages
TIMEOUT=${TIMEOUT:-15} # seconds until a process gives the other one up
CUT=${CUT:-25}         # seconds without the line: longer than TIMEOUT, or nobody would notice
CUT_AFTER=10           # records: the run is in its second stage then
PATIENCE=600           # seconds until a run that does not end counts as hanging

SPACE=([1]="cilkit-$$-1" [2]="cilkit-$$-2") # names of this script's own, so it may delete them
CABLE=([1]=one [2]=two)
ADDRESS=([1]=10.77.0.1 [2]=10.77.0.2)
PORT=29511
AGENT=() # the process number of each host's torchrun

refuse() {
    echo "two_hosts.sh: $1" >&2
    exit 2
}

fail() {
    echo "two_hosts.sh: $1; logs are in $WORK" >&2
    KEEP=yes
    exit 1
}

[[ $(id -u) == 0 ]] || refuse "only root can make network namespaces; run it with sudo"
command -v ip >/dev/null || refuse "there is no command ip; apt-get install iproute2"
[[ -x $BIN/torchrun ]] || refuse "there is no $BIN/torchrun; run 'make test' first, or set BIN"
ip netns add "${SPACE[1]}" 2>/dev/null || refuse "this machine allows no network namespaces"

WORK=$(mktemp -d)
KEEP=no

clean_up() {
    local space
    for space in "${SPACE[@]}"; do
        # Whatever runs in these namespaces was started here.
        ip netns pids "$space" 2>/dev/null | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
        ip netns delete "$space" 2>/dev/null || true # and its end of the cable with it
    done
    [[ ${KEEPALL:-} || $KEEP == yes ]] || rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

lay_cable() {
    local host
    ip netns add "${SPACE[2]}"
    ip link add "${CABLE[1]}" netns "${SPACE[1]}" type veth peer name "${CABLE[2]}" netns "${SPACE[2]}"
    for host in 1 2; do
        ip -n "${SPACE[host]}" address add "${ADDRESS[host]}/24" dev "${CABLE[host]}"
        ip -n "${SPACE[host]}" link set lo up # torchrun talks to itself, too
        ip -n "${SPACE[host]}" link set "${CABLE[host]}" up
    done
}

# on_host HOST OUT [OPTION...]: start one host's half of the run in the background.
#
# Both namespaces have this machine's name, which means 127.0.0.1 in both, and no name service: so
# everything that is otherwise found by name must be given as an address. On machines that know each
# other by name none of the three settings is needed.
#   --local-addr          what the host tells the others to call it
#   is_host               the first host keeps the meeting point: it cannot tell by its name
#   GLOO_SOCKET_IFNAME    where gloo listens
# CUDA_VISIBLE_DEVICES is empty, since the two "machines" would share one GPU, which NCCL refuses.
on_host() {
    local host=$1 out=$2
    shift 2
    ip netns exec "${SPACE[host]}" env \
        OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES= LOGLEVEL=INFO GLOO_SOCKET_IFNAME="${CABLE[host]}" \
        "$BIN/torchrun" --nnodes 2 --nproc-per-node 1 --max-restarts 3 \
        --rdzv-backend c10d --rdzv-endpoint "${ADDRESS[1]}:$PORT" --rdzv-id cilkit \
        --rdzv-conf "is_host=$((host == 1))" --local-addr "${ADDRESS[host]}" \
        -m cilkit run --preset digits --method wa --epochs "$EPOCHS" --timeout "$TIMEOUT" \
        --out "$out" "$@" >>"$out.log" 2>&1 &
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
            if ((SECONDS > deadline)); then
                echo "  host $host hangs and is stopped" >&2
                kill -KILL "${AGENT[@]}" 2>/dev/null || true
                status=1
            fi
            sleep 1
        done
        wait "${AGENT[host]}" || status=1
    done
    return "$status"
}

records_of() { { wc -l <"$1/records.jsonl"; } 2>/dev/null || echo 0; }

# wait_for_records FOLDER COUNT: wait until a run has come so far.
wait_for_records() {
    local deadline=$((SECONDS + PATIENCE))
    until (($(records_of "$1") >= $2)); do
        kill -0 "${AGENT[@]}" 2>/dev/null || fail "a host ended before the cut"
        ((SECONDS < deadline)) || fail "the run does not get to record $2"
        sleep 0.2
    done
}

# check NAME: compare what host 1 recorded with the run on one host, all but the hour and machine.
check() {
    "$BIN/python" - "$WORK/one-host" "$WORK/$1-host1" <<'PYTHON' || fail "$1: the records differ"
import json
import sys
from pathlib import Path

CHANGING = {"versions", "machine", "started", "seconds"}


def read(folder: str) -> list[dict[str, object]]:
    lines = (Path(folder) / "records.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in CHANGING} for line in lines]


expected, found = map(read, sys.argv[1:])
stages = [record["fingerprint"] for record in expected if record["kind"] == "stage"]
assert len(stages) == 5 and all(stages), "the run on one host is not whole"
if len(expected) != len(found):
    sys.exit(f"  {len(expected)} records on one host, {len(found)} on two")
for number, (one, two) in enumerate(zip(expected, found, strict=True), start=1):
    if differ := [name for name in one.keys() | two.keys() if one.get(name) != two.get(name)]:
        sys.exit(f"  record {number}, {one['kind']}: {', '.join(sorted(differ))}")
PYTHON
    [[ -z $(ls -A "$WORK/$1-host2" 2>/dev/null) ]] || fail "$1: host 2 wrote into its folder"
}

lay_cable

start=$SECONDS
OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES='' "$BIN/torchrun" --standalone --nproc-per-node 2 \
    -m cilkit run --preset digits --method wa --epochs "$EPOCHS" --timeout "$TIMEOUT" \
    --out "$WORK/one-host" >"$WORK/one-host.log" 2>&1 || fail "the run on one host breaks off"
echo "one host, two processes: $(records_of "$WORK/one-host") records, $((SECONDS - start)) s"

start=$SECONDS
on_both whole
both_end || fail "the run on two hosts breaks off"
check whole
echo "two hosts: the same records, and host 2 needed no folder; $((SECONDS - start)) s"

start=$SECONDS
on_both cut
wait_for_records "$WORK/cut-host1" "$CUT_AFTER"
ip -n "${SPACE[2]}" link set "${CABLE[2]}" down
before=$(records_of "$WORK/cut-host1")
sleep "$CUT"
after=$(records_of "$WORK/cut-host1")
ip -n "${SPACE[2]}" link set "${CABLE[2]}" up
((after <= before + 1)) || fail "the cut did not stop the run"
how="torchrun started the processes again by itself"
if ! both_end; then
    how="torchrun gave up, the same two commands with --resume went on"
    on_both cut --resume
    both_end || fail "the run does not go on after the cut"
fi
check cut
echo "two hosts, cut off for $CUT s after $before records: the same records; $((SECONDS - start)) s"
echo "  $how"
