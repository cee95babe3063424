"""Versions of a release in the order in which Python sorts them."""

IN_ORDER = (
    "1.0.0.dev3",
    "1.0.0a1",
    "1.0.0b2",
    "1.0.0rc1.dev2",
    "1.0.0rc1",
    "1.0.0",
    "1.0.0.post1",
    "1.0.1.dev1",
    "1.0.1",
)
