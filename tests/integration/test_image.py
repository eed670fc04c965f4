"""The image's recipe keeps its promises; `make image-test` builds and runs it."""

import os
import re
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import CHECKOUT, ENDS_WITH_US
from tests.support.monitoring import certificates
from tests.support.patience import patience, wait_until
from tests.support.servers import HOST, _free_port
from tests.support.workers import Worker

DOCKERFILE = CHECKOUT / "Dockerfile"
LIVEZ = CHECKOUT / "scripts" / "livez"

Instruction = tuple[str, str]
"""The name in capitals, and all that follows on its line or lines."""


def instructions() -> list[Instruction]:
    """The instructions of the Dockerfile in order, without comments."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    split = [line.split(maxsplit=1) for line in lines if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in split]


def of(*names: str, stage: int | None = None) -> list[str]:
    """What follows each instruction of these names, in all stages or in one."""
    found, number = [], 0
    for name, rest in instructions():
        number += name == "FROM"
        if name in names and stage in {None, number}:
            found.append(rest)
    return found


def project() -> dict[str, str]:
    """The table `project` of pyproject.toml."""
    found: dict[str, str] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return found


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles is silent, with no rule switched off."""
    assert "hadolint ignore" not in DOCKERFILE.read_text()
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", "--failure-threshold=style", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_both_stages_stand_on_one_base_that_a_digest_can_pin() -> None:
    """Name, tag and digest are arguments; the digest is nobody's guess."""
    arguments = dict(rest.partition("=")[::2] for rest in of("ARG", stage=0))
    assert arguments["BASE_IMAGE"] == "docker.io/library/python"
    assert re.fullmatch(r"3\.\d+-slim-[a-z]+", arguments["BASE_TAG"])
    assert arguments["BASE_DIGEST"] == ""
    base = "${BASE_IMAGE}:${BASE_TAG}${BASE_DIGEST:+@}${BASE_DIGEST}"
    assert [rest.split()[0] for rest in of("FROM")] == [base, base]


def test_the_base_has_a_python_that_the_project_supports() -> None:
    """The version in the tag is not below `requires-python`; the lock is for all from there on."""
    (tag,) = (rest for rest in of("ARG", stage=0) if rest.startswith("BASE_TAG="))
    found = re.search(r"=(\d+)\.(\d+)", tag)
    assert found
    oldest = project()["requires-python"].removeprefix(">=").split(".")
    assert tuple(map(int, found.groups())) >= tuple(map(int, oldest))


def test_everything_installed_is_pinned_by_a_hash() -> None:
    """The lock is installed with `--require-hashes`; the project without any index."""
    installs = [
        part
        for run in of("RUN")
        for part in run.split("&&")
        if re.search(r'"\$pip" .*install ', part)
    ]
    assert len(installs) == len([p for p in installs if "uninstall" in p]) + 2
    lock, ours, *_ = installs
    options = {"--no-deps", "--require-hashes", "--only-binary", "requirements.lock"}
    assert options <= set(lock.split())
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= set(ours.split())
    lines = (CHECKOUT / "requirements.lock").read_text().splitlines()
    assert all(line.endswith("\\") for line in lines if line[:1].isalnum())


def test_nothing_is_fetched_besides() -> None:
    """No ADD, no download and no system package; secrets are no arguments."""
    assert of("ADD") == []
    for run in of("RUN"):
        assert not re.search(r"\b(curl|wget|apt|apt-get|git)\b", run)
    for name in of("ARG", "ENV"):
        assert not re.search(r"PASSWORD|TOKEN|SECRET|KEY", name)


def test_the_user_is_a_number_and_the_last_one() -> None:
    """Clusters that demand a user other than root can see that it is one."""
    assert of("USER") == ["10001:10001"]
    names = [name for name, _ in instructions()]
    after = names[names.index("USER") :]
    assert not {"RUN", "COPY", "ADD"} & set(after)  # all is root's, and read-only to the worker


def test_no_shell_starts_anything() -> None:
    """ENTRYPOINT, CMD and HEALTHCHECK are lists of words."""
    assert of("ENTRYPOINT") == ['["reconciler"]']
    assert of("CMD") == ['["run"]']
    (check,) = of("HEALTHCHECK")
    assert check.partition(" CMD ")[2].startswith('["python", ')
    assert of("SHELL") == []


def test_the_builder_is_given_what_it_copies_and_nothing_else() -> None:
    """.dockerignore refuses everything, then names exactly the sources of COPY."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:].strip("/") for rule in rules if rule.startswith("!")}
    copied = {
        source.strip("/")
        for rest in of("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert allowed == copied
    assert all(any(CHECKOUT.glob(each)) for each in allowed)
    last = max(i for i, rule in enumerate(rules) if rule.startswith("!"))
    assert {"**/__pycache__/", "**/.*", "**/*.db"} <= set(rules[last:])


def test_the_package_can_be_built_of_what_is_copied() -> None:
    """The first stage has the readme, the licence, and what links in the packages lead to."""
    copied = {each for rest in of("COPY", stage=1) for each in rest.split()[:-1]}
    about = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert {"pyproject.toml", about["readme"], *about["license-files"]} <= copied
    for package in ("checks", "worker"):
        for path in (CHECKOUT / package).rglob("*"):
            if path.is_symlink():
                assert str(path.resolve().relative_to(CHECKOUT)) in copied


def test_labels_tell_the_version() -> None:
    """The version of the image is that of the project, unless somebody says otherwise."""
    assert f"VERSION={project()['version']}" in of("ARG")
    (labels,) = of("LABEL")
    named = re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", labels)
    assert named == [
        *("title", "description", "licenses", "version", "revision", "created"),
        *("base.name", "base.digest"),
    ]


# --- The health check -----------------------------------------------------------------------------


def livez(folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code of the health check, and what it says."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
    done = subprocess.run(
        [sys.executable, "-I", LIVEZ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=clean | environment,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.strip()


def config(port: int) -> str:
    """A worker that audits an SQLite file."""
    return f"""
        http = {{ host = "0.0.0.0", port = {port} }}
        databases.ledger.url = "sqlite:///ledger.db"
        state.url = "sqlite:///state.db"
        tables.t.primary_key = "id"
    """


def test_livez_asks_the_worker_that_the_configuration_describes(tmp_path: Path) -> None:
    """0 while it works: by the file's port or the environment's; 1 once it is gone."""
    port = _free_port()
    worker = Worker(tmp_path, config(port))
    try:
        file = str(worker.config)
        assert livez(tmp_path) == (0, "")
        assert livez(Path("/"), RECONCILER_CONFIG=file) == (0, "")
        assert livez(Path("/"), RECONCILER_CONFIG=file, RECONCILER_HTTP__HOST=HOST) == (0, "")
        code, said = livez(tmp_path, RECONCILER_HTTP__PORT=str(_free_port()))
        assert (code, "refused" in said) == (1, True)
        worker.end()
        assert livez(tmp_path)[0] == 1
        (tmp_path / "other.toml").write_text("http.port = 1")
        named = {"RECONCILER_CONFIG": "other.toml", "RECONCILER_HTTP__PORT": str(port)}
        assert livez(tmp_path, **named)[0] == 1
    finally:
        worker.process.kill()
        worker.process.wait()


@pytest.mark.parametrize("contents", ["http.port = ", "http = 1", 'http.port = "x"'])
def test_livez_says_why_it_cannot_ask(tmp_path: Path, contents: str) -> None:
    """A configuration that is none, or is missing, is a line and exit code 1, no traceback."""
    assert livez(tmp_path) == (
        1,
        "livez: no answer: [Errno 2] No such file or directory: 'config.toml'",
    )
    (tmp_path / "config.toml").write_text(contents)
    code, said = livez(tmp_path)
    assert code == 1
    assert re.fullmatch(r"livez: no answer: .+", said)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[int]:
    """The port of a server that speaks TLS and serves the files of `tmp_path`."""
    certificates(tmp_path)
    port = _free_port()
    command = f"openssl s_server -quiet -WWW -accept {port} -cert server.pem -key server.key"
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*ENDS_WITH_US, *command.split()], cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: _answers(port, tmp_path), 20, "openssl listens")
        yield port
    finally:
        server.kill()
        server.wait()


def _answers(port: int, folder: Path) -> bool:
    try:
        ssl.get_server_certificate(
            (HOST, port), ca_certs=str(folder / "server.pem"), timeout=patience(5)
        )
    except OSError:
        return False
    return True


def test_livez_asks_with_tls_where_the_worker_speaks_it(tmp_path: Path, secure: int) -> None:
    """The certificate is not looked at: it names the host that others ask, not this one."""
    (tmp_path / "config.toml").write_text(f"http.port = {secure}")
    (tmp_path / "livez").write_text("")
    assert livez(tmp_path) == (0, "")
