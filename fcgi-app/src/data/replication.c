// Reading INFO replication.

#include "data/replication.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

// The value of `name` among "name=value,name=value"; NULL if it is not there.
static const char *field(const char *line, size_t len, const char *name,
                         size_t *value_len)
{
    size_t name_len = strlen(name);
    for (const char *at = line, *end = line + len; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - at) > name_len && memcmp(at, name, name_len) == 0 &&
            at[name_len] == '=') {
            *value_len = (size_t)(stop - at) - name_len - 1;
            return at + name_len + 1;
        }
        at = stop + 1;
    }
    return NULL;
}

// ip=127.0.0.1,port=6391,state=online,offset=4711,lag=0
static bool parse_listed(const char *line, size_t len, struct replication_listed *out)
{
    size_t ip_len, port_len, state_len, offset_len;
    const char *ip = field(line, len, "ip", &ip_len);
    const char *port = field(line, len, "port", &port_len);
    const char *state = field(line, len, "state", &state_len);
    const char *offset = field(line, len, "offset", &offset_len);
    if (!ip || !port || !state || !offset ||
        !parse_int(offset, offset_len, 0, INT64_MAX, &out->offset))
        return false;
    int n = snprintf(out->addr, sizeof out->addr, "%.*s:%.*s", (int)ip_len, ip,
                     (int)port_len, port);
    out->online = state_len == 6 && memcmp(state, "online", 6) == 0;
    return n > 0 && (size_t)n < sizeof out->addr;
}

static bool is_listed_name(const char *name, size_t len)
{
    return len > 5 && memcmp(name, "slave", 5) == 0 &&
           strspn(name + 5, "0123456789") >= len - 5;
}

static bool parse_line(const char *line, size_t len, struct replication *out, int *found)
{
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return true;
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_len = len - name_len - 1;
    if (name_len == 4 && memcmp(line, "role", 4) == 0) {
        out->is_master = value_len == 6 && memcmp(value, "master", 6) == 0;
        ++*found;
    } else if (name_len == 13 && memcmp(line, "master_replid", 13) == 0) {
        if (value_len >= sizeof out->replid)
            return false;
        memcpy(out->replid, value, value_len);
        ++*found;
    } else if (name_len == 18 && memcmp(line, "master_repl_offset", 18) == 0) {
        if (!parse_int(value, value_len, 0, INT64_MAX, &out->offset))
            return false;
        ++*found;
    } else if (is_listed_name(line, name_len)) {
        return out->n_listed < REPLICATION_LISTED_MAX &&
               parse_listed(value, value_len, &out->listed[out->n_listed++]);
    }
    return true;
}

bool replication_parse(const char *text, size_t len, struct replication *out)
{
    int found = 0;
    memset(out, 0, sizeof *out);
    for (const char *at = text, *end = text + len; at < end;) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *stop = feed ? feed : end;
        size_t line = (size_t)(stop - at);
        if (line > 0 && at[line - 1] == '\r')
            line--;
        if (!parse_line(at, line, out, &found))
            return false;
        at = stop + 1;
    }
    return found == 3;
}

const struct replication_listed *replication_find(const struct replication *info,
                                                  const struct redis_node *node)
{
    const struct replication_listed *found = NULL;
    for (size_t i = 0; i < info->n_listed; i++) {
        if (strcmp(info->listed[i].addr, redis_addr(node)) != 0)
            continue;
        if (found)
            return NULL;
        found = &info->listed[i];
    }
    return found;
}

bool replication_all_have(const struct replication *info, const struct redis_node *master,
                          int64_t offset)
{
    size_t others = 0;
    for (size_t i = 0; i < redis_nodes(); i++) {
        const struct redis_node *node = redis_node(i);
        if (node == master)
            continue;
        const struct replication_listed *listed = replication_find(info, node);
        if (!listed || !listed->online || listed->offset < offset)
            return false;
        others++;
    }
    return info->n_listed == others;
}
