"""Checks answers against nginx/openapi.json: what is not documented there is a fault."""
import json
import os
import re
from decimal import Decimal

import jsonschema

from lib.stack import ROOT

DOCUMENT = os.path.join(ROOT, "nginx", "openapi.json")


class Checker:
    """Give `see` to a Client; faults() lists each kind of fault once, with an example."""

    def __init__(self):
        with open(DOCUMENT, encoding="utf-8") as file:
            # Decimals on both sides: multipleOf 0.01 is hopeless with floats.
            self.document = json.load(file, parse_float=Decimal)
        self.paths = [(template, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template)),
                       item)
                      for template, item in self.document["paths"].items()]
        self.validators = {}
        self.seen = {}

    def see(self, method, path, answer):
        """Notes what is wrong with one answer. Paths that are no routes are left out."""
        path = path.partition("?")[0]
        for template, pattern, item in self.paths:
            if pattern.fullmatch(path):
                key = "%s %s %d" % (method, template, answer.status)
                faults = self.seen.setdefault(key, {})
                for fault in self.check(method, item, answer):
                    faults.setdefault(fault, "%s %s: %s" % (method, path, answer))

    def results(self):
        """{"METHOD template status": [fault, example, ...]} of all that was seen."""
        return {key: [line for pair in faults.items() for line in pair]
                for key, faults in sorted(self.seen.items())}

    def check(self, method, item, answer):
        operation = item.get(method.lower())
        if operation is None:
            # Not documented, so refused: only the error document can be checked.
            if answer.status not in (400, 405, 413):
                return ["the method is not documented"]
            return self.body_faults({"$ref": "#/components/schemas/Problem"}, answer) \
                if method != "HEAD" else []
        response = operation["responses"].get(str(answer.status))
        if response is None:
            return ["the status is not documented"]
        response = self.resolve(response)
        faults = self.header_faults(response.get("headers", {}), answer)
        if method == "HEAD" or "content" not in response:
            return faults + (["an undocumented body"] if answer.body else [])
        media = (answer.header("Content-Type") or "").partition(";")[0]
        if media not in response["content"]:
            return faults + ["the type %s is not documented" % media]
        if not media.endswith("json"):
            return faults
        return faults + self.body_faults(response["content"][media]["schema"], answer)

    def header_faults(self, headers, answer):
        faults = []
        for name, header in headers.items():
            header = self.resolve(header)
            value = answer.header(name)
            if value is None:
                if header.get("required"):
                    faults.append("the header %s is missing" % name)
                continue
            schema = header.get("schema", {})
            if schema.get("type") in ("integer", "number"):
                value = json.loads(value)
            faults += self.schema_faults(schema, value, name)
        return faults

    def body_faults(self, schema, answer):
        try:
            value = json.loads(answer.body, parse_float=Decimal)
        except ValueError:
            return ["the body is not JSON"]
        return self.schema_faults(schema, value, "body")

    def schema_faults(self, schema, value, what):
        text = json.dumps(schema, sort_keys=True, default=str)
        if text not in self.validators:
            # With the components beside it, "#/components/..." leads somewhere.
            self.validators[text] = jsonschema.Draft202012Validator(
                dict(schema, components=self.document["components"]))
        return ["%s: %s at %s" % (what, shape(error), error.json_path)
                for error in self.validators[text].iter_errors(value)]

    def resolve(self, value):
        while "$ref" in value:
            target = self.document
            for part in value["$ref"].lstrip("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            value = target
        return value


def shape(error):
    """A fault's text without the value, so that equal ones are counted once."""
    return "%s %s" % (error.validator,
                      json.dumps(error.validator_value, default=str)[:120])
