"""A bare checkout on a machine whose executables only pretend, for the scripts' tests."""

import shutil
import stat
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "constraints.txt", "packages.txt")
TOOLS = ("awk", "bash", "cat", "chmod", "dirname", "env", "grep", "make", "mkdir", "sh", "tr")
"""All that is real on the machine."""

# The fakes write what they were asked to do to $BOX/log, and look at files in $BOX for
# the state of the world: no-network, sudo-is-free, packages-installed, …
FAKE_PYTHON = """
case "$*" in
    *version_info*\\<=*) exit {supported} ;;
    *"import ensurepip"*) [ {has_venv} = 1 ] || [ -e "$BOX/python-venv-installed" ] || exit 1 ;;
    *-venv*) echo python3.11-venv ;;
    *"import pip"*) [ -e "${{0%/bin/python}}/has-pip" ] ;;
    --version) echo "Python {version}" ;;
    "-m venv"*)
        for venv; do :; done
        mkdir -p "$venv/bin" && : >"$venv/has-pip"
        cat "$0" >"$venv/bin/python" && chmod +x "$venv/bin/python"
        echo "made by $0" >>"$BOX/log" ;;
    "-m pip"*) echo "pip $*" >>"$BOX/log"; [ ! -e "$BOX/no-network" ] ;;
    "-m playwright"*) echo "playwright $*" >>"$BOX/log"; [ ! -e "$BOX/no-network" ] ;;
    "-m scripts.run_app"*) echo "app $*" >>"$BOX/log" ;;
    *find_library*) exit 1 ;;
esac
"""
FAKE_APT_GET = """
echo "apt-get ${*##*120 }" >>"$BOX/log"
[ ! -e "$BOX/no-network" ] || exit 100
case "$*" in
    *install*-venv) : >"$BOX/python-venv-installed" ;;
    *chromium)
        [ -e "$BOX/chromium-is-a-snap" ] && wants=1 || wants=0
        printf '#!/bin/sh\nexit %s\n' "$wants" >"$BOX/bin/chromium"
        chmod +x "$BOX/bin/chromium" ;;
    *install*) : >"$BOX/packages-installed" ;;
esac
"""
FAKE_DPKG_QUERY = '[ -e "$BOX/packages-installed" ] && printf "ii "'
FAKE_SUDO = """
case "$1" in
    -n) [ -e "$BOX/sudo-is-free" ]; exit ;;
    -v) echo "asked for a password" >>"$BOX/log"; [ -e "$BOX/knows-password" ]; exit ;;
esac
echo sudo >>"$BOX/log"
"$@"
"""


class Machine:
    """A checkout in a folder of its own, and a PATH with nothing real but a few tools."""

    def __init__(self, box: Path) -> None:
        self.box, self.tree, self.bin = box, box / "tree", box / "bin"
        (self.tree / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        for name in (*REQUIREMENTS, "scripts/bootstrap.sh", "Makefile"):
            shutil.copy(ROOT / name, self.tree / name)
        for tool in TOOLS:
            self.install(tool, f'exec "{shutil.which(tool)}" "$@"')
        self.install("id", "echo 0")
        self.install("uname", "echo Linux")

    def install(self, name: str, script: str) -> None:
        """Put an executable on the machine's PATH, in place of one of that name.

        Real tools are called by a script too, never linked to: writing through a link
        would change the tool itself.
        """
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IEXEC)

    def install_python(self, name: str, version: str, has_venv: bool = True) -> None:
        minor = int(version.split(".")[1])
        fields = {"supported": int(not 11 <= minor <= 13), "has_venv": int(has_venv)}
        self.install(name, FAKE_PYTHON.format(version=version, **fields))

    def make_debian(self, is_root: bool = True) -> None:
        """Add Python 3.11, apt-get and dpkg-query, and sudo for one who is not root."""
        self.install_python("python3", "3.11.2")
        self.install("apt-get", FAKE_APT_GET)
        self.install("dpkg-query", FAKE_DPKG_QUERY)
        self.install("chromium", "")
        if not is_root:
            self.install("id", "echo 1000")
            self.install("sudo", FAKE_SUDO)

    def mark(self, state: str) -> None:
        """Make a state of the world that the fakes look at true."""
        (self.box / state).touch()

    def unmark(self, state: str) -> None:
        """Make a state of the world false again."""
        (self.box / state).unlink()

    def run(
        self, *command: str, stdin: int = subprocess.DEVNULL, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` in the checkout; the log starts afresh."""
        (self.box / "log").write_text("")
        return subprocess.run(
            command,
            cwd=self.tree,
            env={"PATH": str(self.bin), "BOX": str(self.box), **environment},
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def bootstrap(
        self, goal: str = "app", stdin: int = subprocess.DEVNULL, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the script that prepares the checkout for `goal`."""
        return self.run("bash", "scripts/bootstrap.sh", goal, stdin=stdin, **environment)

    @property
    def log(self) -> list[str]:
        """What the fakes were asked to do in the last run."""
        return (self.box / "log").read_text().splitlines()
