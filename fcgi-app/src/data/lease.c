// Heartbeats as text, and whether a lease holds.

#include "data/lease.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"

struct lease_clock lease_now(void)
{
    return (struct lease_clock){clock_boot_ns(), clock_wall_ms()};
}

const char *lease_key(void)
{
    static char key[64];
    if (!*key) {
        char id[40] = "";
        FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
        if (file) {
            if (!fgets(id, sizeof id, file))
                *id = '\0';
            fclose(file);
        }
        id[strcspn(id, "\n")] = '\0';
        snprintf(key, sizeof key, "hb:%s", id);
    }
    return key;
}

void heartbeat_put(struct buf *b, const struct heartbeat *hb)
{
    buf_printf(b, "H %lld %s %lld %lld %s", (long long)hb->epoch,
               epoch_mode_name(hb->mode), (long long)hb->stamp.boot_ns,
               (long long)hb->stamp.wall_ms, hb->replid);
}

// The word that begins at *at and what follows it; false at the end of the text.
static bool next_word(const char **at, const char *end, const char **word, size_t *len)
{
    if (*at >= end)
        return false;
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    *word = *at;
    *len = (size_t)((space ? space : end) - *at);
    *at = space ? space + 1 : end;
    return *len > 0;
}

static bool next_number(const char **at, const char *end, int64_t *number)
{
    const char *word;
    size_t len;
    return next_word(at, end, &word, &len) && parse_int(word, len, 0, INT64_MAX, number);
}

bool heartbeat_parse(const char *text, size_t len, struct heartbeat *out)
{
    const char *at = text, *end = text + len, *word;
    size_t word_len;
    struct heartbeat hb = {0};
    if (!next_word(&at, end, &word, &word_len) || word_len != 1 || *word != 'H' ||
        !next_number(&at, end, &hb.epoch) || !next_word(&at, end, &word, &word_len) ||
        !epoch_mode_parse(word, word_len, &hb.mode) ||
        !next_number(&at, end, &hb.stamp.boot_ns) ||
        !next_number(&at, end, &hb.stamp.wall_ms) ||
        !next_word(&at, end, &word, &word_len) || word_len >= sizeof hb.replid ||
        word + word_len != end)
        return false;
    memcpy(hb.replid, word, word_len);
    *out = hb;
    return true;
}

bool lease_holds(const struct heartbeat *hb, const struct lease_clock *now)
{
    int64_t by_boot = now->boot_ns - hb->stamp.boot_ns;
    int64_t by_wall = now->wall_ms - hb->stamp.wall_ms;
    return by_boot >= 0 && by_boot < LEASE_MS * 1000000LL && by_wall >= 0 &&
           by_wall < LEASE_MS;
}
