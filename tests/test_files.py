"""Writing a file whole or not at all."""

import pytest

from musicvae_core.files import write_atomically


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_stops_half_way_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")

    def write(part):
        part.write_text("ne")
        assert target.read_text() == "old"
        raise error

    with pytest.raises(type(error)):
        write_atomically(target, write)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "old"}


def test_a_written_file_is_whole_and_readable(tmp_path):
    write_atomically(tmp_path / "file", lambda part: part.write_text("new"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "new"}
    assert (tmp_path / "file").stat().st_mode & 0o444 == 0o444
