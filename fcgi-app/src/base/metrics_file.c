// Where measurements lie: one mapped file of slots, and the locks that say who owns what.

#include "base/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct header {
    char magic[8];
    uint32_t version;
    uint32_t unused;
    uint64_t slot_size; // whole cache lines: no two processes write to the same one
    uint64_t layout;
    uint64_t more[4];
};

static struct header header = {.magic = "carrito", .version = 1};
static char *map; // NULL until the file is open
static int file = -1;
static size_t own_slot;

static off_t slot_at(size_t slot)
{
    return (off_t)(sizeof header + slot * header.slot_size);
}

static struct err failed(const char *what, int error)
{
    static char detail[160];
    snprintf(detail, sizeof detail, "%s: %s", what, strerror(error));
    return err_make(ERR_CONFIG, "METRICS_FILE", detail);
}

// An OFD lock of one byte. It belongs to the open file and not to the process: closing
// another descriptor of the same file does not lose it. Returns 0 or an errno.
static int lock_byte(int fd, int command, short type, off_t at)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    while (fcntl(fd, command, &lock) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int write_header(int fd)
{
    ssize_t written = pwrite(fd, &header, sizeof header, 0);
    return written == sizeof header ? 0 : written < 0 ? errno : ENOSPC;
}

// Puts a fresh file in the place of `path`. The caller holds the lock of the file that is
// there, so nobody else is doing this. Returns 0 or an errno.
static int replace_file(const char *path)
{
    char *fresh = mem_printf(NULL, "%s.new", path);
    unlink(fresh);
    int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    int error = fd < 0 ? errno : write_header(fd);
    if (!error && rename(fresh, path) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    talloc_free(fresh);
    return error;
}

// Sees to it that `fd`, whose lock is held, is the file at `path` and has our header.
// *again: it is not, and the path is to be opened anew. Returns 0 or an errno.
static int prepare_file(const char *path, int fd, bool *again)
{
    struct stat here, there;
    struct header found;
    *again = true;
    if (fstat(fd, &here) != 0)
        return errno;
    if (stat(path, &there) != 0)
        return errno == ENOENT ? 0 : errno;
    if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
        return 0;
    if (here.st_size != 0 && (pread(fd, &found, sizeof found, 0) != sizeof found ||
                              memcmp(&found, &header, sizeof header) != 0))
        return replace_file(path);
    *again = false;
    return here.st_size == 0 ? write_header(fd) : 0;
}

// Locks the first free slot and gives it disk space: writing to a mapped hole on a full
// disk is SIGBUS. Returns 0 or an errno.
static int take_slot(int fd)
{
    for (size_t i = 0; i < METRICS_SLOTS_MAX; i++) {
        int error = lock_byte(fd, F_OFD_SETLK, F_WRLCK, slot_at(i));
        if (error == EAGAIN || error == EACCES)
            continue;
        own_slot = i;
        return error ? error : posix_fallocate(fd, slot_at(i), (off_t)header.slot_size);
    }
    return EUSERS;
}

// The whole range at once: slots that the file grows by later appear in it.
static int map_file(int fd)
{
    size_t size = (size_t)slot_at(METRICS_SLOTS_MAX);
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return errno;
    map = mapped;
    file = fd;
    return 0;
}

struct err metrics_file_open(const char *path, size_t slot_size, uint64_t layout,
                             size_t *own)
{
    header.slot_size = slot_size / 64 * 64 + 64;
    header.layout = layout;
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            return failed("cannot be opened", errno);
        bool again = false;
        int error = lock_byte(fd, F_OFD_SETLKW, F_WRLCK, 0);
        if (!error)
            error = prepare_file(path, fd, &again);
        if (!error && !again)
            error = take_slot(fd);
        if (!error && !again)
            error = map_file(fd);
        lock_byte(fd, F_OFD_SETLK, F_UNLCK, 0);

        if (map) {
            *own = own_slot;
            return err_ok();
        }
        close(fd);
        if (error)
            return failed("cannot be used", error);
    }
}

bool metrics_file_is_open(void)
{
    return map != NULL;
}

void *metrics_file_slot(size_t slot)
{
    return map + slot_at(slot);
}

size_t metrics_file_slots(void)
{
    struct stat st;
    if (fstat(file, &st) != 0)
        return own_slot + 1;
    size_t n = ((size_t)st.st_size - sizeof header) / header.slot_size;
    return n < METRICS_SLOTS_MAX ? n : METRICS_SLOTS_MAX;
}

bool metrics_file_slot_is_live(size_t slot)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot_at(slot), .l_len = 1};
    if (slot == own_slot) // an own lock is no obstacle to oneself
        return true;
    return fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
