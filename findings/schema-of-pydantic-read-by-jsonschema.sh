#!/bin/sh
# pydantic 2.14.4 makes a JSON Schema of a model, and jsonschema 4.26.0 checks by it what other programs send: the two do
# not agree. `pattern` is Rust's for one and Python's for the other: "barn" and a line feed passes ^[a-z]+$ at the consumer
# and not at the model. And `multipleOf: 0.01` refuses one number of two decimals in seven, among them 0.07 and 0.29, all
# of which the model takes: one divides and wants a whole number, the other has a tolerance. So a producer that was
# tested with pydantic sends, once in a while, what a consumer throws away.
#
# Seen (valid for the model, for its schema):
#   name "barn": True, True
#   name "barn" and a line feed: False, True
#   score 0.07: True, False
#   of 0.00 to 100.00: 10001, 8638
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.14.4 jsonschema==4.26.0
"$folder/venv/bin/python" - <<'PYTHON'
from typing import Annotated

from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError


class Reading(BaseModel):
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "barn"
    score: Annotated[float, Field(multiple_of=0.01)] = 0.0


schema = Draft202012Validator(Reading.model_json_schema())


def valid(**values: object) -> tuple[bool, bool]:
    try:
        Reading(**values)
    except ValidationError:
        return False, schema.is_valid(values)
    return True, schema.is_valid(values)


seen = [valid(name="barn"), valid(name="barn\n"), valid(score=0.07)]
for text, both in zip(('name "barn"', 'name "barn" and a line feed', "score 0.07"), seen):
    print(f"{text}: {both[0]}, {both[1]}")
every = [valid(score=float(f"{hundredths / 100:.2f}")) for hundredths in range(10001)]
counts = sum(one for one, _ in every), sum(other for _, other in every)
print(f"of 0.00 to 100.00: {counts[0]}, {counts[1]}")
assert seen == [(True, True), (False, True), (True, False)], seen
assert counts == (10001, 8638), counts
PYTHON
