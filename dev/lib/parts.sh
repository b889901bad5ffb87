# The parts of the service: what each one is, how it is started, when it is ready.
# Sourced by dev/lib/control, in RUN_DIR.
# shellcheck shell=bash disable=SC2034,SC2153 # set or used where this is sourced

REDIS_PARTS=(redis-master redis-replica-1 redis-replica-2)
SENTINEL_PARTS=(sentinel-1 sentinel-2 sentinel-3)
# In the order in which they are started.
PARTS=(postgres "${REDIS_PARTS[@]}" "${SENTINEL_PARTS[@]}" keeper app nginx)

# True when the settings ask for this part.
is_wanted() {
    case $1 in sentinel-*) [ "${HA:-0}" = 1 ] ;; esac
}

# The names of its processes; `start` is redis-conf/start, before it becomes the server.
declare -A PART_PROGRAMS=(
    [postgres]=postgres
    [redis-master]="redis-server start"
    [redis-replica-1]="redis-server start"
    [redis-replica-2]="redis-server start"
    [sentinel-1]="redis-server start"
    [sentinel-2]="redis-server start"
    [sentinel-3]="redis-server start"
    [keeper]="multiwatch carrito-keeper"
    [app]="multiwatch carrito-fcgi"
    [nginx]=nginx
)
# How it is asked to end, each for up to ten seconds.
declare -A PART_SIGNALS=(
    [postgres]="INT QUIT"
    [redis-master]=TERM
    [redis-replica-1]=TERM
    [redis-replica-2]=TERM
    [sentinel-1]=TERM
    [sentinel-2]=TERM
    [sentinel-3]=TERM
    [keeper]=TERM
    [app]=TERM
    [nginx]="QUIT TERM"
)

part_dir() {
    case $1 in
        app) echo "$RUN_DIR" ;;
        nginx) echo "$RUN_DIR/nginx-run" ;;
        postgres) echo "$RUN_DIR/pg" ;;
        *) echo "$RUN_DIR/$1" ;;
    esac
}

part_log() {
    case $1 in
        nginx) echo error.log ;;
        *) echo "$1.log" ;;
    esac
}

redis_port() {
    case $1 in
        redis-master) echo "$REDIS_PORT" ;;
        redis-replica-1) echo $((REDIS_PORT + 1)) ;;
        redis-replica-2) echo $((REDIS_PORT + 2)) ;;
        sentinel-*) echo $((REDIS_PORT + 2 + ${1#sentinel-})) ;;
    esac
}

# Sets how the part is started: PART_COMMAND, PART_ENV, PART_FILES, what else it depends
# on, and PART_HINTS, variables that it only looks at while it starts: another value is no
# reason to start it again.
describe_part() {
    PART_ENV=(HOME="$RUN_DIR" LANG=C.UTF-8 PATH="$PATH")
    PART_HINTS=()
    case $1 in
        postgres) describe_postgres ;;
        redis-* | sentinel-*) describe_redis "$1" ;;
        keeper) describe_keeper ;;
        app) describe_app ;;
        nginx) describe_nginx ;;
    esac
    PART_FILES+=("$(command -v "${PART_COMMAND[0]}")")
}

describe_postgres() {
    PART_FILES=(dev/postgres.conf)
    PART_COMMAND=(
        "$PG_BIN/postgres" -D "$RUN_DIR/pg" -c config_file="$RUN_DIR/dev/postgres.conf"
        -c unix_socket_directories="$SOCKET_DIR/pg-socket" -c port="$PG_PORT"
        # Three more for each process's chores; the keeper is one more process.
        -c max_connections=$(((PROCESSES + 1) * (PG_READ_POOL + PG_WRITE_POOL + 3) + 20))
    )
}

# Nodes and sentinels. Who is the master is found out when a node starts, and may change
# at any time, so it is no part of what is described here.
describe_redis() {
    local kind=replica
    case $1 in
        redis-master) kind=master ;;
        sentinel-*) kind=sentinel ;;
    esac
    # With all nodes anew the sentinels start anew too: they must not remember a master
    # that has become a replica.
    PART_FILES=(redis-conf/start "$(command -v redis-server)" "redis-conf/$kind.conf")
    [ "$kind" != sentinel ] ||
        PART_FILES+=(redis-conf/master.conf redis-conf/replica.conf)
    PART_ENV+=(
        REDIS_MASTER="$(own_addresses 0)"
        REDIS_REPLICAS="$(own_addresses 1 2)"
        REDIS_PASSWORD="$REDIS_PASSWORD"
    )
    [ "$HA" = 0 ] || PART_HINTS=(REDIS_SENTINELS="$(own_addresses 3 4 5)")
    PART_COMMAND=(
        "$RUN_DIR/redis-conf/start" "$kind" 127.0.0.1:"$(redis_port "$1")"
        --bind 127.0.0.1 --daemonize no
    )
    [ "$kind" = sentinel ] || PART_COMMAND+=(
        --unixsocket "$SOCKET_DIR/redis-$(redis_port "$1").sock" --unixsocketperm 700
    )
}

# The environment of our own programs.
add_program_env() {
    local name
    PART_ENV+=(DATABASE_URL="$DATABASE_URL" METRICS_FILE="$METRICS_FILE")
    for name in $(compgen -v); do
        case " ${APP_SETTINGS[*]} " in
            *" $name "*) ;;
            *) is_test_setting "$name" || continue ;;
        esac
        PART_ENV+=("$name=${!name}")
    done
}

# multiwatch: without -t 0 it gives up after a few deaths. The program's path is relative
# because multiwatch takes ASCII only.
describe_keeper() {
    PART_FILES=(bin/carrito-keeper)
    add_program_env
    PART_COMMAND=(
        "$(command -v multiwatch)" -f 1 -t 0 -s TERM -- ../bin/carrito-keeper
    )
}

describe_app() {
    PART_FILES=(bin/carrito-fcgi "$(command -v multiwatch)")
    add_program_env
    PART_COMMAND=(
        spawn-fcgi -n -s "$FCGI_SOCKET" -M 0660 --
        "$(command -v multiwatch)" -f "$PROCESSES" -t 0 -s TERM --
        bin/carrito-fcgi
    )
}

describe_nginx() {
    PART_FILES=(nginx-run/conf/*.conf)
    PART_COMMAND=(nginx -e stderr -p "$RUN_DIR/nginx-run" -c conf/nginx.conf)
}

# What the part's last start depended on: another stamp means that it has to be restarted.
part_stamp() {
    {
        printf '%q\n' "${PART_ENV[@]}" "${PART_COMMAND[@]}"
        cat -- "${PART_FILES[@]}"
    } | sha256sum
}

redis_cli() {
    local auth=()
    [ -z "$REDIS_PASSWORD" ] || auth=(env REDISCLI_AUTH="$REDIS_PASSWORD")
    "${auth[@]}" timeout 2 redis-cli -p "$(redis_port "$1")" "${@:2}" 2>/dev/null
}

# Where this machine reaches nginx.
base_url() {
    local host=$LISTEN
    case $host in
        0.0.0.0) host=127.0.0.1 ;;
        :: | '[::]') host='[::1]' ;;
        \[*) ;;
        *:*) host="[$host]" ;;
    esac
    echo "http://$host:$PORT"
}

# The pids of what multiwatch keeps alive: the processes of the program, or the keeper.
workers() {
    local parent
    ! parent=$(main_pid "$1") || pgrep -P "$parent" || true
}

# True when it takes requests.
part_answers() {
    case $1 in
        postgres) "$PG_BIN/pg_isready" -q -h "$SOCKET_DIR/pg-socket" -p "$PG_PORT" ;;
        # A replica whose master is gone runs and says so.
        redis-* | sentinel-*)
            case $(redis_cli "$1" PING) in PONG | MASTERDOWN*) ;; *) false ;; esac
            ;;
        keeper) [ -n "$(workers keeper)" ] ;;
        app) [ -S "$FCGI_SOCKET" ] && [ -n "$(workers app)" ] ;;
        nginx) curl -s --noproxy '*' -m 5 -o /dev/null "$(base_url)/" ;;
    esac
}

# Each node that says it is the master, the one with the most replicas first.
redis_masters() {
    local part
    for part in "${REDIS_PARTS[@]}"; do
        redis_cli "$part" INFO replication | tr -d '\r' | awk -F: -v part="$part" '
            $1 == "role" && $2 == "master" { master = 1 }
            $1 == "connected_slaves" { replicas = $2 }
            END { if (master) print replicas, part }' || true
    done | sort -srn -k 1,1 | cut -d ' ' -f 2
}

# redis_follows PART MASTER
redis_follows() {
    redis_cli "$1" INFO replication | tr -d '\r' |
        grep -qx "master_port:$(redis_port "$2")"
}

# One node is the master, and all others are in step with it.
redis_in_step() {
    local master part
    master=$(redis_masters)
    [[ $master =~ ^redis-[a-z0-9-]+$ ]] || return 1
    for part in "${REDIS_PARTS[@]}"; do
        [ "$part" != "$master" ] || continue
        redis_cli "$part" INFO replication | grep -q '^master_link_status:up' &&
            redis_cli "$master" INFO replication |
            grep -q "port=$(redis_port "$part"),state=online" || return 1
    done
}

# Every sentinel knows both others and both replicas.
sentinels_in_step() {
    local part
    for part in "${SENTINEL_PARTS[@]}"; do
        redis_cli "$part" SENTINEL MASTER carrito | tr -d '\r' | paste - - | awk '
            { value[$1] = $2 }
            END {
                exit !(value["num-other-sentinels"] == 2 && value["num-slaves"] == 2 &&
                       value["flags"] == "master")
            }' || return 1
    done
}
