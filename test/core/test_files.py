"""Files that are there as a whole or not at all."""

import os
import stat
import subprocess
import sys

import pytest

from semabs_core.files import write_atomic


@pytest.fixture
def umask():
    """Sets the process's mask of permissions for a test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


def fill(path):
    path.write_bytes(b"filled")


def test_bytes_text_and_what_a_function_fills(tmp_path):
    for content, expected in (
        (b"\x00\xff", b"\x00\xff"),
        ("ä\n", b"\xc3\xa4\n"),
        (fill, b"filled"),
    ):
        write_atomic(tmp_path / "new" / "file", content)
        assert (tmp_path / "new" / "file").read_bytes() == expected
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_permissions_are_those_of_any_new_file(mask, expected, tmp_path, umask):
    def fill_privately(part):
        own = part.with_name("own")
        os.close(os.open(own, os.O_CREAT | os.O_WRONLY, 0o600))
        os.replace(own, part)

    umask(mask)
    for name, content in (("bytes", b"x"), ("filled", fill), ("private", fill_privately)):
        stale = tmp_path / f"{name}.part"
        stale.touch(0o600)
        write_atomic(tmp_path / name, content)
        assert permissions(tmp_path / name) == expected, name


def test_an_error_leaves_the_old_file_and_no_part(tmp_path):
    def fail(part):
        part.write_bytes(b"half")
        raise RuntimeError("no more")

    write_atomic(tmp_path / "file", b"old")
    with pytest.raises(RuntimeError, match="no more"):
        write_atomic(tmp_path / "file", fail)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_kill_leaves_the_old_file_and_the_next_write_takes_the_part_away(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from semabs_core.files import write_atomic\n"
        "def fill(part):\n"
        "    part.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomic(sys.argv[1], fill)\n"
    )
    file = tmp_path / "file"
    write_atomic(file, b"old")
    done = subprocess.run([sys.executable, "-c", program, str(file)], timeout=120)
    assert done.returncode == -9
    assert file.read_bytes() == b"old"
    assert (tmp_path / "file.part").read_bytes() == b"half"
    write_atomic(file, b"new")
    assert file.read_bytes() == b"new"
    assert not (tmp_path / "file.part").exists()


def test_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("sync"), sync(number)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("name"), replace(*names)))
    write_atomic(tmp_path / "file", b"x")
    assert done == ["sync", "name", "sync"]
