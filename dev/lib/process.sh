# Processes: starting, finding and ending them. Sourced by dev/lib/control, in RUN_DIR.
# shellcheck shell=bash disable=SC2154 # set in parts.sh
#
# A pid file alone proves nothing: after a crash its number may be somebody else's. A
# process belongs to a part when it has the part's program name and works in the part's
# own directory. That also finds children whose parent was killed.

# is_process PART PID
is_process() {
    local comm
    read -r comm 2>/dev/null <"/proc/$2/comm" || return 1
    case " ${PART_PROGRAMS[$1]} " in *" $comm "*) ;; *) return 1 ;; esac
    [ "$(readlink "/proc/$2/cwd")" = "$(part_dir "$1")" ]
}

# main_pid PART: prints the pid in its file if that is really the part's process.
main_pid() {
    local pid
    read -r pid 2>/dev/null <"pid/$1.pid" || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    is_process "$1" "$pid" && echo "$pid"
}

is_running() {
    main_pid "$1" >/dev/null
}

# all_pids PART: prints every process of the part, also without its parent.
all_pids() {
    local dir
    for dir in /proc/[0-9]*; do
        ! is_process "$1" "${dir#/proc/}" || echo "${dir#/proc/}"
    done
}

# True when somebody listens on this address and port, in a way that would clash with us.
# Read from the kernel: connecting would wake other people's services.
port_is_taken() {
    local address=$1 port hex='' octet tables=(/proc/net/tcp)
    [ ! -e /proc/net/tcp6 ] || tables+=(/proc/net/tcp6)
    printf -v port %04X "$2"
    case $address in
        *[!0-9.]* | 0.0.0.0) hex=any ;;
        *)
            for octet in ${address//./ }; do
                printf -v hex '%02X%s' "$octet" "$hex"
            done
            ;;
    esac
    awk -v port="$port" -v hex="$hex" '
        $4 == "0A" {
            split($2, local, ":")
            if (local[2] != port)
                next
            tail = substr(local[1], length(local[1]) - 7)
            if (hex == "any" || local[1] ~ /^0+$/ || tail == hex)
                taken = 1
        }
        END { exit !taken }' "${tables[@]}"
}

# wait_until SECONDS COMMAND...: tries until it succeeds; fails after that time.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# Starts PART_COMMAND as the part's main process: in a session of its own, so that it
# outlives the terminal, and with the environment PART_ENV and PART_HINTS, nothing else.
launch() {
    local part=$1 pid
    (
        cd "$(part_dir "$part")" || exit
        exec setsid env -i --default-signal=INT,QUIT "${PART_ENV[@]}" "${PART_HINTS[@]}" \
            "${PART_COMMAND[@]}"
    ) </dev/null >>"log/$(part_log "$part")" 2>&1 9>&- &
    pid=$!
    echo "$pid" >"pid/$part.pid"
    part_stamp >"pid/$part.stamp"
    wait_until 30 part_settled "$part" "$pid" && is_running "$part"
}

# The part answers, or is dead.
part_settled() {
    ! kill -0 "$2" 2>/dev/null || part_answers "$1"
}

is_gone() {
    [ -z "$(all_pids "$1")" ]
}

# signal_pids SIGNAL PID...: a stopped process is woken, else it would not hear.
signal_pids() {
    local signal=$1
    shift
    kill -s "$signal" "$@" 2>/dev/null || true
    kill -s CONT "$@" 2>/dev/null || true
}

# Ends the part: politely, then firmly, then by force. Succeeds when it is gone.
end_part() {
    local part=$1 pid pids signal
    for signal in ${PART_SIGNALS[$part]} KILL; do
        mapfile -t pids < <(all_pids "$part")
        [ ${#pids[@]} -gt 0 ] || break
        # Children end by their parent's word, unless there is none, or it is too late.
        pid=$(main_pid "$part") || pid=''
        if [ -n "$pid" ] && [ "$signal" != KILL ]; then
            signal_pids CONT "${pids[@]}"
            signal_pids "$signal" "$pid"
        else
            signal_pids "$signal" "${pids[@]}"
        fi
        ! wait_until 10 is_gone "$part" || break
    done
    is_gone "$part" || return 1
    rm -f "pid/$part.pid" "pid/$part.stamp"
}
