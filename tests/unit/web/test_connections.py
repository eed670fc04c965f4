"""Which connections there may be, and which has to go: for any order of what clients do."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.web.connections import Connection, Connections, Phase, client_of, room

MOST = 40


class Wire:
    """A transport that counts how often it was ended."""

    aborted = 0

    def abort(self) -> None:
        """End it."""
        self.aborted += 1


def opened(known: Connections, client: str, phase: Phase = Phase.NEW) -> Connection:
    """One more, and room made for it as the listener does."""
    if len(known) >= known.most and (gone := known.make_room()):
        known.remove(gone)
    made = Connection(client, transport=Wire())
    known.add(made)
    known.change(made, phase)
    return made


def test_a_flood_of_new_ones_pushes_out_nobody_who_was_answered() -> None:
    """Clients that send nothing whole close each other, not scrapers nor who is answered."""
    known = Connections(MOST)
    scrapers = [opened(known, f"10.0.0.{n}", Phase.RESTING) for n in range(5)]
    served = [opened(known, f"10.0.1.{n}", Phase.BUSY) for n in range(5)]
    for number in range(1000):
        opened(known, f"192.0.2.{number % 7}")
    assert len(known) == MOST
    assert all(each in set(known) for each in (*scrapers, *served))


@pytest.mark.parametrize("flooding", list(Phase))
@pytest.mark.parametrize("honest", list(Phase))
@pytest.mark.parametrize("addresses", [1, 3, 500])
def test_no_phase_takes_all_the_room(flooding: Phase, honest: Phase, addresses: int) -> None:
    """Whatever a flood does, another client's few connections of any other phase stay."""
    known = Connections(MOST)
    kept = [opened(known, "10.0.0.1", honest) for _ in range(3)]
    for number in range(1000):
        opened(known, f"flood {number % addresses}", flooding)
    if honest is not flooding or addresses < MOST // 3:
        assert all(each in set(known) for each in kept)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from([*Phase, None])),
        min_size=MOST,
        max_size=200,
    )
)
def test_the_register_adds_up(steps: list[tuple[str, Phase | None]]) -> None:
    """There are never more than there may be, and each is ended once and found once."""
    known, wires = Connections(8), list[Wire]()
    for client, phase in steps:
        made = opened(known, client, phase or Phase.NEW)
        assert isinstance(made.transport, Wire)
        wires.append(made.transport)
        if phase is None:
            known.remove(made)
            known.remove(made)
            known.change(made, Phase.BUSY)
        assert len(known) == len(list(known)) <= 8
    assert {each.aborted for each in wires} <= {0, 1}


def test_who_has_most_gives_way() -> None:
    """Within a phase the client with most connections loses its oldest."""
    known = Connections(MOST)
    others = [opened(known, f"10.0.0.{n}") for n in range(10)]
    flood = [opened(known, "192.0.2.1") for _ in range(30)]
    assert known.make_room() is flood[0]
    assert known.busiest() == ("192.0.2.1", 30)
    assert not [each for each in others if each.transport is None]


def test_one_that_was_ended_is_not_ended_again() -> None:
    """Until its end has come, room is made by another one."""
    known = Connections(2)
    first, second = opened(known, "a"), opened(known, "a")
    assert [known.make_room(), known.make_room(), known.make_room()] == [first, second, None]


@pytest.mark.parametrize(
    ("descriptors", "most"),
    [(resource.RLIM_INFINITY, 200), (1024, 200), (400, 200), (256, 128), (64, 32), (4, 8)],
)
def test_half_of_the_descriptors_are_the_workers_own(
    descriptors: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections never take what state, databases and logs need."""
    limits = {resource.RLIMIT_NOFILE: (descriptors, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert room() == most


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("192.0.2.1", 40000), "192.0.2.1"),
        (("2001:db8:1:2:3::4", 40000, 0, 0), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::", 40000, 0, 0), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.1", 40000, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 40000, 0, 2), "fe80::/64"),
        (None, ""),
        (("", 0), ""),
    ],
)
def test_whose_a_connection_is(address: object, client: str) -> None:
    """One host has one IPv4 address, and all of an IPv6 network."""
    assert client_of(address) == client
