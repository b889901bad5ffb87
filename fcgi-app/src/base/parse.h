// Readers of the small texts that requests are made of. All are pure: no allocation,
// linear time, outputs untouched on failure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A canonical decimal integer within [min, max]: an optional '-', no leading zeros, no
// blanks, no "-0".
bool parse_int(const char *text, size_t len, int64_t min, int64_t max, int64_t *out);

// The length, 1 to 4, of the well-formed UTF-8 sequence (RFC 3629) that `s` starts with;
// 0 when there is none in its `len` bytes.
size_t parse_utf8_char(const char *s, size_t len);

// True for valid UTF-8. *chars: the number of code points. *control: whether any of them
// is a control character (Unicode Cc: C0, DEL, C1). Either may be NULL.
bool parse_utf8(const char *s, size_t len, size_t *chars, bool *control);

// Decodes %XX (RFC 3986, 2.1); all other bytes stay as they are, '+' too. `out` has room
// for `len` bytes and may be `s` itself; no NUL is added, and %00 gives a NUL byte. False
// for a '%' without two hexadecimal digits; `out` is then undefined.
bool parse_percent_decode(const char *s, size_t len, char *out, size_t *out_len);

enum etag_compare { ETAG_STRONG, ETAG_WEAK };
enum etag_match { ETAG_MALFORMED = -1, ETAG_NO, ETAG_YES };

// Matches the value of If-Match (ETAG_STRONG) or If-None-Match (ETAG_WEAK) against the
// current strong entity-tag, given without its quotes (RFC 9110, 8.8.3 and 13.1). `*`
// matches always. Empty list members are skipped (5.6.1.2), so "" and "," are lists that
// match nothing. The whole value is checked for form, also after a match.
enum etag_match parse_etag_list(const char *header, const char *opaque,
                                enum etag_compare how);

// True for application/json in any case, with well-formed parameters (RFC 9110, 8.3.1),
// of which charset, if given, is utf-8 in any case. False for NULL.
bool parse_media_type_json(const char *content_type);
