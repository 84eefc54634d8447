"""Who owns which lanes, as Kafka's groups tell it, and how far behind each is."""

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from services.console.web.replicas import Member, Replica, read_member, replicas


def told(id_: str, host: str, assigned: dict[str, list[int]] | None) -> tuple[object, ...]:
    """A member as the broker describes it: without an instance id, and with one."""
    lanes = (
        b"" if assigned is None else ConsumerProtocolMemberAssignment(0, [*assigned.items()], b"").encode()
    )
    return id_, "orderlog-inventory", host, b"metadata", lanes


def test_a_lane_is_whose_partitions_it_is_on_every_topic() -> None:
    topics = {"oms.intake.events": [1, 0], "oms.routing.events": [0, 1]}
    assert read_member(told("orderlog-inventory-1234abcd", "/10.0.0.7", topics)) == Member(
        "1234abcd", "10.0.0.7", (0, 1)
    )
    assert read_member(told("orderlog-inventory-5678abcd", "/10.0.0.8", None)).lanes == ()
    with_instance = ("m-5678abcd", "pod-1", "orderlog", "/10.0.0.9", b"", told("", "", {"t": [3]})[-1])
    assert read_member(with_instance) == Member("5678abcd", "10.0.0.9", (3,))


def test_each_process_has_its_lanes_and_what_nobody_owns_is_said() -> None:
    members = {"inventory": [Member("a", "h1", (0, 1)), Member("b", "h2", (2,))], "routing": []}
    found = replicas(members, {"inventory": {0: 5, 1: 0, 2: 7, 3: 9}}, 4)
    assert found == [
        Replica("inventory", "a", "h1", {0: 5, 1: 0}),
        Replica("inventory", "b", "h2", {2: 7}),
        Replica("inventory", "", "", {3: 9}),
        Replica("routing", "", "", dict.fromkeys(range(4))),
    ]
