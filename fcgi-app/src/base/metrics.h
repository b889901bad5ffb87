// Metrics of all the processes of this host, in one mapped file, so that any of them can
// answer a scrape for all.
//
// The file: a header (magic, version, hash of what is registered), then up to 256 slots
// of equal size. A process owns one slot, by an OFD lock on its first byte, which the
// kernel drops with the process, however it ends. Only the owner writes to a slot, with
// relaxed loads and stores; anybody reads. The races, and why they do no harm:
//
// - A scrape reads while owners write: each 64-bit cell is whole, but cells are not of
//   one instant. A histogram's _count is the sum of its buckets and so never contradicts
//   them; its _sum may lack, or be ahead by, what was observed during the scrape.
// - An owner dies: its counters stay in the slot and in every sum. The next process takes
//   the slot and counts on from them, so sums never go down. Its gauges are not summed:
//   nobody holds the lock. A scrape between the lock and the zeroing by a new owner can
//   see the dead one's gauges once.
// - Two processes open at once: all work on the file as such is done under a lock on its
//   first byte, by a process that has then seen that the path still leads to it.
// - A file of another layout (a new version of the program) is replaced by rename.
//   Processes of the old version go on in the old file, unseen; counters start at zero,
//   which Prometheus takes for a restart.
// - Somebody truncates the file while it is mapped: the next touch is SIGBUS. Don't.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct metric;

// Register a series; before metrics_open, in the same order in every process. `labels` is
// the text between the braces (route="/cart",status="200") or "". All strings are copied.
// The same name and labels give the same metric. A name has one type and the help it got
// first. Breaking these rules aborts. Histograms are of times, in seconds, with fixed
// buckets from 50 us to 10 s.
struct metric *metrics_counter(const char *name, const char *help, const char *labels);
struct metric *metrics_gauge(const char *name, const char *help, const char *labels);
struct metric *metrics_histogram(const char *name, const char *help, const char *labels);

// Opens or creates (mode 0640) the file and takes a slot; call it once, in the process
// that will update, not before a fork. Until then, or if it fails, updates go to private
// memory; what they counted is carried over. ERR_CONFIG, detail valid until the next
// call: the file cannot be opened, locked, written or replaced, or all slots are taken.
struct err metrics_open(const char *path) must_check;

// Update the own slot. No locks, no system calls. Negative times count as 0.
void metrics_add(struct metric *counter, uint64_t n);
void metrics_set(struct metric *gauge, int64_t value);
void metrics_observe(struct metric *histogram, int64_t ns);

// Appends everything in Prometheus' text format 0.0.4: counters and histograms summed
// over all slots, gauges over those whose owner lives, and carrito_processes, the number
// of these. Series of names that end in requests_total are left out while they are 0:
// they are the product of all routes and statuses.
void metrics_render(struct buf *b);
