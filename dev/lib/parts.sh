# The parts of the service: what each one is, how it is started, when it is ready.
# Sourced by dev/lib/control, in RUN_DIR.
# shellcheck shell=bash disable=SC2034,SC2153 # set or used where this is sourced

# In the order in which they are started.
PARTS=(postgres redis-master redis-replica-1 redis-replica-2 app nginx)

# The names of its processes.
declare -A PART_PROGRAMS=(
    [postgres]=postgres
    [redis-master]=redis-server
    [redis-replica-1]=redis-server
    [redis-replica-2]=redis-server
    [app]="multiwatch carrito-fcgi"
    [nginx]=nginx
)
# How it is asked to end, each for up to ten seconds.
declare -A PART_SIGNALS=(
    [postgres]="INT QUIT"
    [redis-master]=TERM
    [redis-replica-1]=TERM
    [redis-replica-2]=TERM
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
    esac
}

# Sets how the part is started: PART_COMMAND, PART_ENV, PART_INPUT (its standard input)
# and PART_FILES, what else it depends on.
describe_part() {
    PART_ENV=(HOME="$RUN_DIR" LANG=C.UTF-8 PATH="$PATH")
    PART_INPUT=''
    case $1 in
        postgres) describe_postgres ;;
        redis-*) describe_redis "$1" ;;
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
        # Three more for each process's chores.
        -c max_connections=$((PROCESSES * (PG_READ_POOL + PG_WRITE_POOL + 3) + 20))
    )
}

describe_redis() {
    local conf=redis-conf/replica.conf quoted
    [ "$1" != redis-master ] || conf=redis-conf/master.conf
    PART_FILES=("$conf")
    # It has not seen what was written with the cache off: switched on, it starts empty.
    PART_ENV+=(CACHE="$CACHE")
    PART_COMMAND=(
        redis-server "$RUN_DIR/$conf" --bind 127.0.0.1 --port "$(redis_port "$1")"
        --dir "$(part_dir "$1")" --daemonize no
    )
    [ "$1" = redis-master ] || PART_COMMAND+=(--replicaof 127.0.0.1 "$REDIS_PORT")
    if [ -n "$REDIS_PASSWORD" ]; then
        # By standard input, so that it stands in no list of processes.
        quoted=${REDIS_PASSWORD//\\/\\\\}
        quoted=${quoted//\"/\\\"}
        PART_INPUT="requirepass \"$quoted\""$'\n'"masterauth \"$quoted\""
        PART_COMMAND+=(-)
    fi
}

describe_app() {
    local name
    PART_FILES=(bin/carrito-fcgi "$(command -v multiwatch)")
    PART_ENV+=(DATABASE_URL="$DATABASE_URL" METRICS_FILE="$METRICS_FILE")
    for name in $(compgen -v); do
        case " ${APP_SETTINGS[*]} " in
            *" $name "*) ;;
            *) is_test_setting "$name" || continue ;;
        esac
        PART_ENV+=("$name=${!name}")
    done
    # -t 0: without it multiwatch gives up after a few deaths. The program's path is
    # relative because multiwatch takes ASCII only.
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
        printf '%q\n' "${PART_ENV[@]}" "${PART_COMMAND[@]}" "$PART_INPUT"
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

# The pids of the program's processes.
app_processes() {
    local parent
    ! parent=$(main_pid app) || pgrep -P "$parent" || true
}

# True when it takes requests.
part_answers() {
    case $1 in
        postgres) "$PG_BIN/pg_isready" -q -h "$SOCKET_DIR/pg-socket" -p "$PG_PORT" ;;
        # A replica whose master is gone runs and says so.
        redis-*) case $(redis_cli "$1" PING) in PONG | MASTERDOWN*) ;; *) false ;; esac ;;
        app) [ -S "$FCGI_SOCKET" ] && [ -n "$(app_processes)" ] ;;
        nginx) curl -s --noproxy '*' -m 5 -o /dev/null "$(base_url)/" ;;
    esac
}

# A replica that is in step with a master that knows it.
replica_in_sync() {
    redis_cli "$1" INFO replication | grep -q '^master_link_status:up' &&
        redis_cli redis-master INFO replication |
        grep -q "port=$(redis_port "$1"),state=online"
}
