"""Makes a picture of a page smaller: at most 256 colours, and packed as well as zlib can.

Pages have few colours, so hardly anything changes; only 8-bit RGB and RGBA are known.
"""
import collections
import struct
import zlib

COLOURS = 256


def chunks(data):
    at = 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        yield kind, data[at + 8:at + 8 + length]
        at += 12 + length


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(
        ">I", zlib.crc32(kind + body))


def paeth(left, above, corner):
    guess = left + above - corner
    return min((abs(guess - left), 0, left), (abs(guess - above), 1, above),
               (abs(guess - corner), 2, corner))[2]


def unfilter(raw, width, size):
    """The rows of a picture, `size` bytes a pixel (PNG, section 9.2)."""
    stride, above = width * size, bytearray(width * size)
    for at in range(0, len(raw), stride + 1):
        kind, row = raw[at], bytearray(raw[at + 1:at + 1 + stride])
        for i in range(stride if kind else 0):
            left = row[i - size] if i >= size else 0
            corner = above[i - size] if i >= size else 0
            row[i] = (row[i] + (left, above[i], (left + above[i]) // 2,
                                paeth(left, above[i], corner))[kind - 1]) & 255
        yield bytes(row)
        above = row


def nearest(colour, palette):
    return min(range(len(palette)), key=lambda n: sum(
        (a - b) ** 2 for a, b in zip(colour, palette[n])))


def shrink(path):
    with open(path, "rb") as file:
        parts = list(chunks(file.read()))
    width, height, depth, kind = struct.unpack(">IIBB", parts[0][1][:10])
    size = {2: 3, 6: 4}[kind]
    assert depth == 8
    raw = zlib.decompress(b"".join(body for name, body in parts if name == b"IDAT"))
    rows = [[row[i:i + 3] for i in range(0, len(row), size)]
            for row in unfilter(raw, width, size)]
    used = collections.Counter(colour for row in rows for colour in row)
    palette = [colour for colour, _ in used.most_common(COLOURS)]
    number = {colour: nearest(colour, palette) for colour in used}
    packed = zlib.compress(b"".join(
        b"\0" + bytes(number[colour] for colour in row) for row in rows), 9)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" +
                   chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)) +
                   chunk(b"PLTE", b"".join(palette)) + chunk(b"IDAT", packed) +
                   chunk(b"IEND", b""))
