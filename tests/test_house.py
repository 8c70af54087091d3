"""The two commands' scripts, among executables that only pretend."""

import os
import pty
import shutil
import tomllib
from pathlib import Path

import pytest
from pretend_machine import FAKE_APT_GET, FAKE_SUDO, ROOT, Machine

from musicvae_core.music.midi.scan import MAX_BYTES


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def debian(machine: Machine) -> Machine:
    machine.make_debian()
    return machine


def test_the_pretend_machine_has_no_way_out(debian):
    assert not any(path.is_symlink() for path in debian.box.rglob("*"))


def test_a_fresh_debian_gets_everything_in_order(debian):
    result = debian.bootstrap()

    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in debian.log] == ["made", "apt-get", "pip"]
    assert debian.log[1].endswith("install libfluidsynth3 fluid-soundfont-gm")
    assert debian.log[2].endswith("-r requirements.txt -c constraints.txt")


def test_a_second_start_installs_nothing_and_needs_no_network(debian):
    debian.bootstrap()
    debian.mark("no-network")
    second = debian.bootstrap()

    assert (second.returncode, second.stdout, second.stderr, debian.log) == (0, "", "", [])


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt"])
def test_changed_requirements_are_installed_once(debian, name):
    debian.bootstrap()
    with (debian.tree / name).open("a") as file:
        file.write("# another line\n")

    assert debian.bootstrap().returncode == 0
    assert len(debian.log) == 1
    debian.bootstrap()
    assert debian.log == []


def test_a_failed_install_stops_in_a_sentence_and_is_tried_again(debian):
    debian.mark("packages-installed")
    debian.mark("no-network")
    failed = debian.bootstrap()
    assert failed.returncode != 0
    assert "check the network" in failed.stderr.splitlines()[-1]

    debian.unmark("no-network")
    assert debian.bootstrap().returncode == 0
    assert [line.split()[0] for line in debian.log] == ["pip"]


def test_the_tests_get_their_tools_and_browsers_once(debian):
    (debian.bin / "chromium").unlink()
    assert debian.bootstrap("dev").returncode == 0

    assert any("-r requirements-dev.txt" in line for line in debian.log)
    assert debian.log[-2].endswith("install firefox-esr")
    assert debian.log[-1].endswith("install chromium")

    debian.bootstrap("dev")
    assert debian.log == []


def test_without_firefox_the_rest_is_installed(debian):
    (debian.bin / "apt-get").unlink()
    result = debian.bootstrap("dev")

    assert result.returncode == 0
    assert "The test in Firefox will be skipped" in result.stderr
    assert any("-r requirements-dev.txt" in line for line in debian.log)


def test_without_the_system_s_chromium_playwright_brings_its_own_once(debian):
    (debian.bin / "chromium").unlink()
    (debian.bin / "apt-get").unlink()
    assert debian.bootstrap("dev").returncode == 0
    assert debian.log[-1].endswith("-m playwright install chromium")

    debian.bootstrap("dev")
    assert debian.log == []


def test_a_chromium_that_is_only_a_snap_stub_does_not_count(debian):
    (debian.bin / "chromium").unlink()
    debian.mark("chromium-is-a-snap")
    assert debian.bootstrap("dev").returncode == 0
    assert debian.log[-1].endswith("-m playwright install chromium --with-deps")

    debian.bootstrap("dev")
    assert debian.log == []


def test_the_lowest_versions_are_installed_beside_the_tested_ones(debian):
    requirements = {
        "requirements.txt": "# What is imported\nnumpy>=2.0,<3\nPretty_MIDI>=0.2.11,<0.3\n",
        "requirements-dev.txt": "-r requirements.txt\npre-commit>=4,<5\n",
        "constraints.txt": "numpy==2.4.6\npillow==13.0.0\npretty_midi==0.2.12\npre_commit==4.7\n",
    }
    for name, text in requirements.items():
        (debian.tree / name).write_text(text)
    assert debian.bootstrap("lowest").returncode == 0

    assert debian.log[-1].endswith("-r requirements-dev.txt -c .venv-lowest/lowest.txt")
    assert (debian.tree / ".venv-lowest/lowest.txt").read_text().split() == [
        "numpy==2.0",
        "pretty-midi==0.2.11",
        "pre-commit==4",
        "pillow==13.0.0",
    ]
    assert not (debian.tree / ".venv").exists()
    debian.bootstrap("lowest")
    assert debian.log == []


def test_a_dry_run_prints_the_steps_and_takes_none(debian):
    result = debian.bootstrap("dev", BOOTSTRAP_DRY_RUN="1")

    assert result.returncode == 0
    assert debian.log == []
    assert not (debian.tree / ".venv").exists()
    steps = [line for line in result.stderr.splitlines() if line.startswith("+ ")]
    assert "-m venv" in steps[0]
    assert "apt-get" in steps[1]
    assert "-m pip install" in steps[2]


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": "3.11.2"}, "python3"),
        ({"python3": "3.9.6", "python3.12": "3.12.1"}, "python3.12"),
        ({"python3": "3.11.2", "python3.13": "3.13.0", "python3.12": "3.12.1"}, "python3.13"),
        ({"python3": "3.14.0", "python3.11": "3.11.9"}, "python3.11"),
    ],
)
def test_the_newest_supported_python_is_chosen(debian, pythons, chosen):
    for name, version in pythons.items():
        debian.install_python(name, version)
    debian.bootstrap()

    assert debian.log[0] == f"made by {debian.bin / chosen}"


def test_a_shim_that_leads_nowhere_is_passed_over(debian):
    debian.install("python3.13", "echo 'command not found' >&2; exit 127")
    debian.bootstrap()

    assert debian.log[0] == f"made by {debian.bin / 'python3'}"


def test_a_named_python_is_used(debian):
    debian.install_python("mine", "3.12.1")
    debian.bootstrap(PYTHON=str(debian.bin / "mine"))

    assert debian.log[0] == f"made by {debian.bin / 'mine'}"


@pytest.mark.parametrize("version", ["3.10.12", "3.14.0", None])
def test_no_supported_python_is_one_sentence(debian, version):
    (debian.bin / "python3").unlink()
    if version is not None:
        debian.install_python("python3", version)
    result = debian.bootstrap()

    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in result.stderr
    assert (version or "missing") in result.stderr


def test_a_python_that_can_make_a_venv_is_preferred_to_a_newer_one_that_cannot(debian):
    debian.install_python("python3.12", "3.12.1", has_venv=False)
    debian.bootstrap()

    assert debian.log[0] == f"made by {debian.bin / 'python3'}"


def test_debian_s_missing_venv_package_is_installed(debian):
    debian.install_python("python3", "3.11.2", has_venv=False)

    assert debian.bootstrap().returncode == 0
    assert debian.log[0].endswith("install python3.11-venv")
    assert debian.log[1].startswith("made by")


def test_a_missing_venv_package_that_cannot_be_had_is_named(debian):
    debian.install_python("python3", "3.11.2", has_venv=False)
    debian.mark("no-network")
    result = debian.bootstrap()

    assert result.returncode == 1
    assert "install python3.11-venv" in result.stderr.splitlines()[-1]


def test_a_broken_venv_is_rebuilt(debian):
    debian.bootstrap()
    (debian.tree / ".venv/bin/python").unlink()
    debian.mark("packages-installed")

    assert debian.bootstrap().returncode == 0
    assert debian.log[0].startswith("made by")


def test_old_package_lists_are_renewed_once(debian):
    debian.install(
        "apt-get", FAKE_APT_GET + '[ -e "$BOX/updated" ] || { : >"$BOX/updated"; exit 1; }'
    )
    assert debian.bootstrap().returncode == 0

    words = [line.split()[1] for line in debian.log if line.startswith("apt-get")]
    assert words == ["install", "update", "install"]


def test_without_network_for_apt_the_app_starts_without_sound(debian):
    debian.install("apt-get", "exit 100")
    result = debian.bootstrap()

    assert result.returncode == 0
    assert result.stderr.splitlines()[-2].startswith("The app starts without sound")
    assert "sudo apt-get install libfluidsynth3 fluid-soundfont-gm" in result.stderr
    assert debian.log[-1].startswith("pip")


def test_root_does_without_sudo(debian):
    debian.install("sudo", FAKE_SUDO)
    debian.bootstrap()

    assert "sudo" not in debian.log


def test_users_other_than_root_use_sudo_only_for_apt(machine):
    machine.make_debian(is_root=False)
    machine.mark("sudo-is-free")

    assert machine.bootstrap().returncode == 0
    at = machine.log.index("sudo")
    assert machine.log[at + 1].startswith("apt-get")
    assert machine.log.count("sudo") == 1


@pytest.mark.parametrize("has_sudo", [True, False])
def test_without_a_right_to_root_nobody_is_asked_and_the_app_starts(machine, has_sudo):
    machine.make_debian(is_root=False)
    if not has_sudo:
        (machine.bin / "sudo").unlink()
    result = machine.bootstrap()

    assert result.returncode == 0
    assert "The app starts without sound" in result.stderr
    assert [line.split()[0] for line in machine.log] == ["made", "pip"]


@pytest.mark.parametrize("knows_password", [True, False])
def test_at_a_terminal_a_person_is_asked_for_a_password_once(machine, knows_password):
    machine.make_debian(is_root=False)
    machine.install("dpkg-query", "exit 1")
    if knows_password:
        machine.mark("knows-password")
    keyboard, terminal = pty.openpty()
    machine.bootstrap(stdin=terminal)
    first = machine.log
    machine.bootstrap(stdin=terminal)
    os.close(keyboard)
    os.close(terminal)

    assert first.count("asked for a password") == 1
    assert any(line.startswith("apt-get") for line in first) == knows_password
    assert "asked for a password" not in machine.log


def test_a_mac_uses_homebrew_without_sudo(machine):
    machine.install_python("python3.12", "3.12.1")
    machine.install("uname", "echo Darwin")
    machine.install("brew", 'echo "brew $*" >>"$BOX/log"; [ "$1" = install ]')

    assert machine.bootstrap().returncode == 0
    assert machine.log[1:3] == ["brew list fluid-synth", "brew install fluid-synth"]


def test_on_another_system_the_message_says_what_to_install(machine):
    machine.install_python("python3", "3.13.0")
    result = machine.bootstrap()

    assert result.returncode == 0
    assert "install FluidSynth 2 or newer and a General MIDI SoundFont" in result.stderr


def test_an_unknown_goal_is_refused(debian):
    result = debian.bootstrap("everything")

    assert result.returncode == 1
    assert "usage" in result.stderr


def test_make_run_prepares_and_starts_the_app(debian):
    result = debian.run("make", "run", "ARGS=--server.port 8600")

    assert result.returncode == 0, result.stderr
    assert debian.log[-1] == "app -m scripts.run_app --server.port 8600"


def test_make_run_listens_where_it_is_asked_to(debian):
    assert debian.run("make", "run", ADDRESS="0.0.0.0").returncode == 0
    assert debian.log[-1] == "app -m scripts.run_app --server.address 0.0.0.0"


def shipped_server() -> dict:
    with (ROOT / ".streamlit/config.toml").open("rb") as file:
        return tomllib.load(file)["server"]


def test_the_app_listens_to_this_machine_alone_and_watches_no_files():
    server = shipped_server()
    assert server["address"] == "localhost"
    assert server["fileWatcherType"] == "none"


def test_the_server_takes_uploads_of_the_size_that_the_reader_takes():
    assert shipped_server()["maxUploadSize"] * 2**20 == MAX_BYTES


def test_make_run_does_not_start_an_app_that_lacks_its_packages(debian):
    debian.mark("packages-installed")
    debian.mark("no-network")

    assert debian.run("make", "run").returncode != 0
    assert not any(line.startswith("app") for line in debian.log)


def test_ci_fails_if_the_linters_alone_fail_and_runs_the_tests_all_the_same(debian):
    debian.install("make", 'echo "make $*" >>"$BOX/log"; exit 2')
    (debian.tree / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", debian.tree / ".ci/run")

    assert debian.run("sh", ".ci/run").returncode == 2
    assert debian.log == ["make --keep-going lint test test-lowest"]


def test_the_scripts_are_executable():
    assert all(os.access(ROOT / name, os.X_OK) for name in ("scripts/bootstrap.sh", ".ci/run"))
