import pytest

from bench.render.numbers import storage


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (2880, "2.8 KiB"), (3 * 2**20, "3.0 MiB"), (17_615_880_192, "16.4 GiB")],
)
def test_bytes_for_people(number, text):
    assert storage(number) == text
