// Settings: from the environment only, read once at start, all by one table in config.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/log.h"

#define CONFIG_ADDRS_MAX 8 // of a setting that lists addresses
#define CONFIG_REPLICAS_MAX CONFIG_ADDRS_MAX

struct config_addr {
    char *host; // without the brackets of an IPv6 address
    char *port;
};

// One member per setting, named like it. config_print_table() says what they mean.
struct config {
    bool cache;
    int cache_ttl_s;
    int cart_keep_days;
    char *database_url;
    enum log_level log_level;
    char *metrics_file;
    int pg_pool_wait_ms;
    int pg_read_pool;
    int pg_timeout_ms;
    int pg_write_pool;
    struct config_addr redis_master;
    char *redis_master_name;
    char *redis_password; // "" for none
    struct config_addr redis_replicas[CONFIG_REPLICAS_MAX];
    size_t n_redis_replicas;
    int redis_retry_ms;
    struct config_addr redis_sentinels[CONFIG_ADDRS_MAX];
    size_t n_redis_sentinels;
    char *redis_socket_dir; // "" for none
    int redis_timeout_ms;
    int request_queue;
    int stats_fold_ms;
    int top_products_ttl_s;
};

// Reads `envp` ("NAME=value" strings, NULL last: environ). A setting that is absent takes
// its default; one that is set to nothing is at fault, except where nothing is a value.
// Writes one line to `errors` for each fault (setting, value unless secret, what is
// allowed) and returns false with *out untouched when there is any. Strings of *out live
// on `mem`.
bool config_load(void *mem, char *const envp[], struct config *out, FILE *errors);

// Prints the settings as a Markdown table: name, default, allowed, meaning.
void config_print_table(FILE *out);
