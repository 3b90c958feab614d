"""A request that has been admitted, for tests of what comes after that."""

from service.limits.admission import Admission, Reservation
from service.limits.clients import client_of


def admitted(admission: Admission, size: int, key: str = "key") -> Reservation:
    """The room of a whole request of this many bytes, from a client with an API key."""
    reservation = admission.reservation(client_of(key, ""))
    reservation.accept(size)
    return reservation
