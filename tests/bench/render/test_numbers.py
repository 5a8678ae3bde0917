import pytest

from bench.render.numbers import p_equals, p_value, storage


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (2880, "2.8 KiB"), (3 * 2**20, "3.0 MiB"), (17_615_880_192, "16.4 GiB")],
)
def test_bytes_for_people(number, text):
    assert storage(number) == text


@pytest.mark.parametrize(
    ("p", "text"), [(1, "1.0000"), (0.0625, ".0625"), (0.001, ".0010"), (0.0009999, "<.001"), (1 / 10_001, "<.001")]
)
def test_p_values_as_papers_print_them(p, text):
    assert p_value(p) == text
    assert p_equals(p) == ("p < .001" if text == "<.001" else f"p = {text}")
