"""Bodies that are not JSON, or not the JSON that everybody would read alike."""
from lib.steps import Step

ADD = "POST /cart/${u}/add"
UPDATE = "PUT /cart/${u}/update/1"
GOOD = b'{"product_id": 1, "name": "n", "price": 1}'


def body(name=b'"n"', price=b"1", more=b""):
    return b'{"product_id": 1, "name": %s, "price": %s%s}' % (name, price, more)


NOT_JSON = {
    "nothing": b"",
    "blanks": b"  \r\n\t ",
    "an open object": b"{",
    "half an object": GOOD[:-1],
    "two values": GOOD + GOOD,
    "a word behind": GOOD + b"x",
    "a NUL behind": GOOD + b"\0",
    "a NUL before": b"\0" + GOOD,
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16-le"),
    "a form": b"product_id=1&name=n&price=1",
    "single quotes": b"{'product_id': 1, 'name': 'n', 'price': 1}",
    "a bare key": b'{product_id: 1, "name": "n", "price": 1}',
    "a trailing comma": body(more=b","),
    "a comma before": b'{,"product_id": 1}',
    "two commas": b'{"product_id": 1,, "name": "n", "price": 1}',
    "no comma": b'{"product_id": 1 "name": "n", "price": 1}',
    "no colon": b'{"product_id" 1}',
    "a comma in a list": body(b'["n",]'),
    "a comment": body(more=b" /* x */"),
    "a line comment": body(more=b" // x\n"),
    "a vertical tab": b"\x0b" + GOOD,
    "a no-break space": b"\xc2\xa0" + GOOD,
    "NaN": body(price=b"NaN"),
    "Infinity": body(price=b"Infinity"),
    "-Infinity": body(price=b"-Infinity"),
    "True": body(price=b"True"),
    "None": body(price=b"None"),
    "undefined": body(price=b"undefined"),
    "a leading zero": body(price=b"01"),
    "a plus": body(price=b"+1"),
    "a point before": body(price=b".5"),
    "a point behind": body(price=b"5."),
    "a bare minus": body(price=b"-"),
    "a bare exponent": body(price=b"1e"),
    "a hexadecimal number": body(price=b"0x10"),
    "underscores": body(price=b"1_0"),
    "a decimal comma": body(price=b"1,5"),
    "a raw tab": body(b'"a\tb"'),
    "a raw newline": body(b'"a\nb"'),
    "a raw NUL": body(b'"a\0b"'),
    "an open string": b'{"product_id": 1, "name": "n',
    "a bad escape": body(b'"\\x41"'),
    "an escaped quote": body(b"\"\\'\""),
    "a short escape": body(b'"\\u12"'),
    "an escape of no digits": body(b'"\\u12g4"'),
    "an escaped NUL": body(b'"a\\u0000b"'),
    "a lone high surrogate": body(b'"\\ud83d"'),
    "a lone low surrogate": body(b'"\\ude00"'),
    "surrogates in the wrong order": body(b'"\\ude00\\ud83d"'),
    "a high surrogate and a letter": body(b'"\\ud83dx"'),
    "a backslash at the end": body(b'"n\\'),
}

NOT_UTF8 = {
    "0xff": b"\xff",
    "Latin-1": b"caf\xe9",
    "a bare continuation": b"\x80",
    "a missing continuation": b"\xc3",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xc0\x80",
    "an overlong 3": b"\xe0\x80\xaf",
    "an overlong 4": b"\xf0\x80\x80\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
}

DUPLICATES = {
    "the same key": body(more=b', "price": 1'),
    "another value": body(more=b', "price": 2'),
    "an escaped spelling": body(more=b', "pric\\u0065": 1'),
    "deep within": body(more=b', "x": {"a": 1, "a": 2}'),
    "empty keys": b'{"": 1, "": 2}',
}


def nested(depth):
    return body(more=b', "x": ' + b"[" * depth + b"]" * depth)


def tables():
    refused = [Step("a line, to be left alone", ADD, 201, GOOD)]
    for name, text in NOT_JSON.items():
        refused.append(Step(name, ADD, 400, text, code="invalid-json"))
    for name in ("nothing", "an open object", "single quotes", "a byte order mark"):
        refused.append(Step(name + ", for update", UPDATE, 400, NOT_JSON[name],
                            code="invalid-json"))
    utf8 = [Step(name, ADD, 400, body(b'"a' + text + b'"'), code="invalid-utf8")
            for name, text in NOT_UTF8.items()]
    utf8.append(Step("in a key", ADD, 400, body(more=b', "\xff": 1'),
                     code="invalid-utf8"))
    twice = [Step(name, ADD, 400, text, code="duplicate-key")
             for name, text in DUPLICATES.items()]
    twice.append(Step("quantity twice", UPDATE, 400, '{"quantity": 1, "quantity": 1}',
                      code="duplicate-key"))
    deep = [Step("%d deep" % (depth + 1), ADD, 422, nested(depth), code="unknown-field",
                 pointers=["/x"]) for depth in (1, 7)]
    deep += [Step("%d deep" % (depth + 1), ADD, 400, nested(depth),
                  code="nesting-too-deep")
             for depth in (8, 9, 100, 8000)]
    deep.append(Step("objects 100 deep", ADD, 400, b'{"a":' * 100 + b"1" + b"}" * 100,
                     code="nesting-too-deep"))
    fine = [
        Step("blanks of all four kinds", ADD, 201, b" \t\r\n" + GOOD + b"\n\t\r "),
        Step("an escaped key", ADD, 200,
             b'{"product\\u005fid": 1, "name": "n", "price": 1}'),
        Step("escapes", ADD, 200, body(b'"\\u00e9\\/\\"\\\\"'),
             {"items": [{"name": "é/\"\\"}]}),
        Step("a pair of escaped surrogates", ADD, 200, body(b'"\\ud83d\\ude00"'),
             {"items": [{"name": "\U0001F600"}]}),
    ]
    return {"not JSON": refused, "not UTF-8": utf8, "keys twice": twice, "nesting": deep,
            "unusual but JSON": fine}


TABLES = tables()
