"""Logins: what a refusal costs, and who is next when many ask."""

import asyncio
import base64
import hashlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import httpx
import pytest

from tests.support import asking
from tests.support.patience import join, patience, wait_until
from worker.config import HttpSettings
from worker.web import Web, login, login_queue
from worker.web.login_queue import LoginQueue, Ticket

RIGHT = "the right one"


def hashed(password: str, cost: int) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


@contextmanager
def serving(folder: Path, **users: str) -> Iterator[Web]:
    """A server whose users have these hashes."""
    path = folder / "web.yml"
    lines = [f"  {user}: {known}\n" for user, known in users.items()]
    path.write_text("basic_auth_users:\n" + "".join(lines))
    served = Web(
        HttpSettings(port=0, web_config_file=path),
        lambda *_: (b"m", "text/plain"),
        lambda: (True, "alive"),
        lambda: (True, "ready"),
    )
    served.start()
    try:
        yield served
    finally:
        served.stop()


@pytest.mark.parametrize("costs", [(4,), (4, 6), (6, 4), (5, 5, 8), (4, 9, 7)])
def test_every_refusal_costs_the_same(
    costs: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password of any user, and nobody's, take as many rounds as the dearest hash."""
    rounds, real = list[int](), bcrypt.checkpw

    def counted(password: bytes, known: bytes) -> bool:
        rounds.append(1 << int(known[4:6]))
        return real(password, known)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    users = {f"user{number}": hashed(RIGHT, cost) for number, cost in enumerate(costs)}
    with serving(tmp_path, **users) as web:
        for user in (*users, "nobody", ""):
            for password in ("wrong", "", "x" * 80, RIGHT + "\0"):
                rounds.clear()
                answer = asking.get(f"{web.address}/metrics", auth=(user, password))
                assert answer.status_code == 401
                assert sum(rounds) == 1 << max(costs), (user, password)
        for user in users:
            assert asking.get(f"{web.address}/metrics", auth=(user, RIGHT)).status_code == 200


def run(what: Callable[[LoginQueue], Coroutine[None, None, None]]) -> None:
    """Do it with a queue, on an event loop."""

    async def done() -> None:
        await what(LoginQueue())

    asyncio.run(done())


def ticket(client: str, word: str) -> Ticket:
    answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
    return Ticket(client, hashlib.sha256(word.encode()).digest(), "user", word.encode(), answer)


def test_clients_take_turns() -> None:
    """Who asks for the first time waits for one of each other client, not for a whole flood."""

    async def story(queue: LoginQueue) -> None:
        for number in range(500):
            queue.add(ticket(f"flood{number % 3}", f"guess{number}"))
        honest = ticket("honest", RIGHT)
        queue.add(honest)
        assert honest in [queue.take() for _ in range(5)]

    run(story)


def test_a_client_with_few_takes_the_place_of_one_with_many() -> None:
    """Where nobody else has room, whoever has most waiting gives a place away."""

    async def story(queue: LoginQueue) -> None:
        flood = [ticket(f"flood{number % 9}", f"guess{number}") for number in range(100)]
        for each in flood:
            queue.add(each)
        before = sum(each.answer.done() for each in flood)
        honest = ticket("honest", RIGHT)
        queue.add(honest)
        assert not honest.answer.done()
        assert sum(each.answer.done() for each in flood) == before + 1

    run(story)


def test_who_comes_again_is_next() -> None:
    """Behind one address with a flood of guesses, the second try of the same password is served."""

    async def story(queue: LoginQueue) -> None:
        honest = ticket("proxy", RIGHT)
        for number in range(20):
            queue.add(ticket("proxy", f"a{number}"))
        queue.add(honest)
        assert honest.answer.result() is None  # no room
        for number in range(5000):
            queue.add(ticket("proxy", f"b{number}"))
        again = ticket("proxy", RIGHT)
        queue.add(again)
        assert again in [queue.take() for _ in range(3)]

    run(story)


def test_what_is_remembered_of_a_flood_does_not_grow() -> None:
    """A million guesses are remembered in as much memory as one."""

    async def story(queue: LoginQueue) -> None:
        for number in range(50_000):
            queue.add(ticket("flood", f"{number:08}"))
        held = sum(map(len, queue._turned_away._generations))
        assert held <= 2 << 19
        assert queue._first._number <= login_queue.EACH

    run(story)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9"])
def test_the_right_password_gets_in_while_others_guess(address: str, tmp_path: Path) -> None:
    """With thirty that guess all the time, from the same address or others, a few tries do."""
    over, refused = threading.Event(), list[int]()

    def guess(web: Web, number: int) -> None:
        source = httpx.HTTPTransport(local_address=f"127.0.0.{2 + number % 3}")
        if address == "127.0.0.1":
            source = httpx.HTTPTransport(local_address=address)
        with httpx.Client(base_url=web.address, transport=source, timeout=patience(60)) as client:
            turn = 0
            while not over.is_set():
                turn += 1
                answer = client.get("/metrics", auth=("scraper", f"guess {number} {turn}"))
                refused.append(answer.status_code)

    with serving(tmp_path, scraper=hashed(RIGHT, 7)) as web:
        threads = [threading.Thread(target=guess, args=[web, number]) for number in range(30)]
        for each in threads:
            each.start()
        try:
            wait_until(lambda: 503 in refused, 20, "the flood is on")
            tries = 0
            status = 503
            while status == 503 and tries < 10:
                tries += 1
                status = asking.get(f"{web.address}/metrics", auth=("scraper", RIGHT)).status_code
            assert status == 200
            assert set(refused) <= {401, 503}
        finally:
            over.set()
            for each in threads:
                join(each, 60)


def test_the_end_comes_while_passwords_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever waits is told so at once, and nothing of it is logged as a fault."""
    may_end, begun = threading.Event(), threading.Event()

    def endless(_password: bytes, _known: bytes) -> bool:
        begun.set()
        return not may_end.wait(patience(60))

    monkeypatch.setattr(login, "_fits", endless)
    statuses = list[int]()

    def ask(address: str, number: int) -> None:
        token = base64.b64encode(f"scraper:{number}".encode()).decode()
        headers = {"Authorization": f"Basic {token}"}
        statuses.append(asking.get(f"{address}/metrics", headers=headers).status_code)

    with serving(tmp_path, scraper=hashed(RIGHT, 4)) as web:
        threads = [threading.Thread(target=ask, args=[web.address, n]) for n in range(5)]
        for each in threads:
            each.start()
        assert begun.wait(patience(20))
    for each in threads:
        join(each, 20)
    may_end.set()
    assert set(statuses) == {503}
    assert caplog.text == ""
