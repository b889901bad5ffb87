// The file behind base/metrics.h, and all its locks: a header, then slots of equal size,
// each owned by one process at most. metrics.h says which races there are.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define METRICS_SLOTS_MAX 256

// Opens or creates the file at `path` for slots of `slot_size` bytes, whose use `layout`
// names, and takes the first free slot for as long as this process lives. A file of
// another size or layout is replaced. *own: the slot's number; its bytes are as its last
// owner left them, or zero. ERR_CONFIG as for metrics_open().
struct err metrics_file_open(const char *path, size_t slot_size, uint64_t layout,
                             size_t *own) must_check;

// The file is open.
bool metrics_file_is_open(void);

// The memory of a slot, whose number is below metrics_file_slots().
void *metrics_file_slot(size_t slot);

// How many slots the file has by now.
size_t metrics_file_slots(void);

// The slot's owner lives. One system call.
bool metrics_file_slot_is_live(size_t slot);
