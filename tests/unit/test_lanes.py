"""A key's lane is the partition that any Kafka client's default partitioner would choose."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.kafka import Lanes


@given(st.text(max_size=64), st.integers(1, 64))
def test_a_key_is_in_the_lane_that_kafkas_partitioner_gives_it(key: str, partitions: int) -> None:
    assert Lanes(partitions)(key) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
