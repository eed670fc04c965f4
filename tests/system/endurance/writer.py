"""A writer: one process of the application that serves whatever request comes."""

from collections.abc import Callable

from tests.system.endurance.market import Market
from tests.system.endurance.shop import Shop


class Writer(Shop, Market):
    """One that does what the application does, and does it right unless told otherwise."""

    def next_event(self) -> None:
        """Whatever comes next, as a request of the entry level."""
        events = (self.draw, self.consume, self.decide, self.exchange, self.buy, self.settle)
        event: Callable[[], object] = self.rng.choice(events)
        with self.request():
            event()

    def finish(self) -> None:
        """Leave nothing waiting."""
        while self.pending:
            self.decide()
        while self.orders:
            self.settle()
