"""A second editor is told."""

from console.stamps import StampForm


def test_stamp_is_refused_once_what_was_shown_has_changed() -> None:
    shown = StampForm({"name": "a"})
    assert StampForm({"name": "a"}, {"stamp": shown.current}).is_valid()
    assert not StampForm({"name": "b"}, {"stamp": shown.current}).is_valid()
    assert not StampForm({"name": "a"}, {}).is_valid()
