"""New Vendor keeps what its document promises."""

from gateway.kit import failures


def test_new_vendor_passes_the_kit() -> None:
    """Every check of the kit passes, as with `jobgate vendor test new-vendor`."""
    assert failures("new-vendor") == []
