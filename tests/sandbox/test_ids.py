"""Ids that the sandbox makes look like the vendor's own."""

from __future__ import annotations

import re

import pytest

from gateway.sandbox.ids import id_like


@pytest.mark.parametrize(
    ("example", "form"),
    [
        ("8780b28c-cb63-4b5b-8b0b-4a5f3d6b1c11", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("WT" + "c" * 32, "WT[0-9a-f]{32}"),
        ("WT0123456789abcdef0123456789abcdef", "WT[0-9a-f]{32}"),
        ("T-1", "T-[0-9]{8}"),
        ("17", "[1-9][0-9]{7}"),
        ("1234567890123", "[1-9][0-9]{12}"),
        ("task_aB3dE5fG7hJ9", "task_[0-9A-Za-z]{12}"),
        ("QX7K2P9A", "[0-9A-Z]{8}"),
        ("no-end-", "no-end-[0-9]{8}"),
        ("", "[0-9]{8}"),
    ],
)
def test_an_id_has_the_form_of_the_example(example: str, form: str) -> None:
    """The beginning, the characters and a sufficient length are those of the example; no two ids are equal."""
    made = [id_like(example, str(number)) for number in range(500)]
    assert all(re.fullmatch(form, each) for each in made)
    assert len({*made, example}) == 501
    assert made == [id_like(example, str(number)) for number in range(500)]
