# The settings of a stack. Sourced by dev/stack, and in RUN_DIR by dev/lib/control.
# shellcheck shell=bash disable=SC2034 # used where this is sourced
#
# LISTEN, PORT        where nginx listens; 127.0.0.1, 5000
# REDIS_PORT          of the master; the replicas have the next two; 6390
# HA                  1: three sentinels on the next three ports, to replace the master; 0
# PG_PORT             names PostgreSQL's socket, no port is opened; 5440
# PROCESSES           of the program; half as many as cores, rounded up
# V                   which build runs; release
# SEED_CARTS          example carts, 0 for none; 24
# METRICS_ALLOW, CLIENT_CONNECTIONS, RATE_LIMIT, NGINX_WORKERS    see nginx/render
#
# and the program's own, but for DATABASE_URL and METRICS_FILE, which belong to the stack.
# `up` records all of them in RUN_DIR/env, where the other commands find them.

STACK_SETTINGS=(
    LISTEN PORT REDIS_PORT HA PG_PORT PROCESSES V SEED_CARTS
    METRICS_ALLOW CLIENT_CONNECTIONS RATE_LIMIT NGINX_WORKERS
)
APP_SETTINGS=(
    CACHE CACHE_TTL_S CART_KEEP_DAYS LOG_LEVEL PG_POOL_WAIT_MS PG_READ_POOL PG_TIMEOUT_MS
    PG_WRITE_POOL REDIS_MASTER REDIS_MASTER_NAME REDIS_PASSWORD REDIS_REPLICAS
    REDIS_RETRY_MS REDIS_SENTINELS REDIS_SOCKET_DIR REDIS_TIMEOUT_MS REQUEST_QUEUE
    STATS_FOLD_MS TOP_PRODUCTS_TTL_S
)
DERIVED_SETTINGS=(RUN_DIR SOCKET_DIR FCGI_SOCKET METRICS_FILE DATABASE_URL PG_BIN)

# For builds that measure or provoke something: sanitizers, coverage, fault injection.
is_test_setting() {
    case $1 in
        ASAN_OPTIONS | LSAN_OPTIONS | UBSAN_OPTIONS) ;;
        CARRITO_* | GCOV_* | LLVM_PROFILE_FILE) ;;
        *) return 1 ;;
    esac
}

is_setting() {
    case " ${STACK_SETTINGS[*]} ${APP_SETTINGS[*]} " in *" $1 "*) return 0 ;; esac
    is_test_setting "$1"
}

require_number() {
    local name
    for name; do
        case ${!name} in
            '' | *[!0-9]* | 0?* | ??????????*) die "$name=${!name} is not a number" ;;
        esac
    done
}

require_port() {
    require_number "$1"
    if [ "${!1}" -lt 1 ] || [ "${!1}" -gt "$2" ]; then
        die "$1=${!1} is not between 1 and $2"
    fi
}

# Fills in what the environment leaves open.
choose_settings() {
    local cores
    cores=$(nproc)
    : "${LISTEN:=127.0.0.1}" "${PORT:=5000}" "${REDIS_PORT:=6390}" "${PG_PORT:=5440}"
    : "${PROCESSES:=$(((cores + 1) / 2))}" "${V:=release}" "${SEED_CARTS:=24}" "${HA:=0}"
    : "${CACHE:=on}" "${PG_READ_POOL:=4}" "${PG_WRITE_POOL:=16}" "${REDIS_PASSWORD:=}"
    case $HA in 0 | 1) ;; *) die "HA=$HA is neither 0 nor 1" ;; esac
    require_port PORT 65535
    require_port PG_PORT 65535
    require_port REDIS_PORT $((65533 - 3 * HA))
    require_number PROCESSES SEED_CARTS PG_READ_POOL PG_WRITE_POOL
    [ "$PROCESSES" -ge 1 ] || die "PROCESSES=$PROCESSES is too few"
    : "${REDIS_MASTER:=$(own_addresses 0)}"
    # Set and empty is a choice: no replicas.
    [ -v REDIS_REPLICAS ] || REDIS_REPLICAS=$(own_addresses 1 2)
    if [ "$HA" = 1 ]; then
        : "${REDIS_MASTER_NAME:=carrito}" "${REDIS_SENTINELS:=$(own_addresses 3 4 5)}"
        [ "$REDIS_MASTER_NAME" = carrito ] ||
            die "REDIS_MASTER_NAME=$REDIS_MASTER_NAME: with HA=1 it is carrito"
    fi
    METRICS_FILE=$RUN_DIR/metrics.bin
    choose_socket_dir
    DATABASE_URL="host=$SOCKET_DIR/pg-socket port=$PG_PORT dbname=carrito user=carrito"
    choose_postgres
}

# own_addresses N...: host:port of the stack's own nodes and sentinels, commas between;
# N is what each port has above REDIS_PORT.
own_addresses() {
    local n list=''
    for n; do
        list+=${list:+,}127.0.0.1:$((REDIS_PORT + n))
    done
    echo "$list"
}

# The path of a socket has at most 107 bytes, and whatever names it has quoting rules of
# its own: with a long or unusual RUN_DIR a short private directory takes the sockets.
choose_socket_dir() {
    local recorded=''
    case $RUN_DIR in
        *[!A-Za-z0-9/._-]*) ;;
        *) [ ${#RUN_DIR} -gt 80 ] || SOCKET_DIR=$RUN_DIR ;;
    esac
    if [ -z "${SOCKET_DIR:-}" ]; then
        # shellcheck disable=SC1091 # made by save_settings
        [ ! -e env ] || recorded=$(. ./env && echo "$SOCKET_DIR")
        if [ -O "$recorded" ] && [ ! -L "$recorded" ]; then
            SOCKET_DIR=$recorded
        else
            SOCKET_DIR=$(mktemp -d /tmp/carrito-XXXXXX)
        fi
    fi
    FCGI_SOCKET=$SOCKET_DIR/fcgi.sock
    # Set and empty is a choice: TCP.
    [ -v REDIS_SOCKET_DIR ] || REDIS_SOCKET_DIR=$SOCKET_DIR
}

# The version that the data belong to, else the newest that is here.
choose_postgres() {
    local version=0 bin
    if [ -e pg/PG_VERSION ]; then
        version=$(<pg/PG_VERSION)
        [ -x "/usr/lib/postgresql/$version/bin/postgres" ] ||
            die "the data are PostgreSQL $version's: install it, or dev/stack clean-data"
    else
        for bin in /usr/lib/postgresql/*/bin; do
            [ -x "$bin/initdb" ] || continue
            bin=${bin%/bin}
            [ "${bin##*/}" -le "$version" ] || version=${bin##*/}
        done
        [ "$version" -ge 15 ] || die "PostgreSQL 15 or later is missing: dev/install"
    fi
    PG_BIN=/usr/lib/postgresql/$version/bin
}

# Quoted for a shell. The password is in it, so it is nobody else's to read.
save_settings() {
    local name
    for name in $(compgen -v); do
        case " ${DERIVED_SETTINGS[*]} " in
            *" $name "*) ;;
            *) is_setting "$name" || continue ;;
        esac
        echo "$name=${!name@Q}"
    done >env.new
    chmod 600 env.new
    mv env.new env
}
