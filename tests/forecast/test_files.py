from pathlib import Path

import pytest

from forecast import files


def test_a_file_appears_under_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with files.whole(path) as file:
        file.write(b"first half, ")
        assert not path.exists()
        file.write(b"second half")
    assert path.read_bytes() == b"first half, second half"
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_in_the_middle_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"former")
    with pytest.raises(RuntimeError, match="power"), files.whole(path) as file:
        file.write(b"half")
        raise RuntimeError("power")
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]
