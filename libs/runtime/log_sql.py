"""The statements of the PostgreSQL log. Every value is a parameter; names come from code alone."""

from collections.abc import Sequence

LOG_COLUMNS = (
    "lane",
    "origin",
    "seq",
    "event_id",
    "tenant",
    "stream",
    "stream_version",
    "type",
    "version",
    "payload",
    "context",
    "at",
    "recorded_at",
)

CLAIM = """
    INSERT INTO lane (lane, epoch) SELECT unnest($1::int[]), 1 ORDER BY 1
    ON CONFLICT (lane) DO UPDATE SET epoch = lane.epoch + 1 RETURNING lane, epoch"""
OFFSETS = """
    WITH wanted AS (SELECT * FROM unnest($1::text[], $2::int[]) AS w(topic, partition)),
    created AS (INSERT INTO consumed SELECT topic, partition, 0 FROM wanted
                ON CONFLICT DO NOTHING RETURNING topic, partition, next_offset)
    SELECT topic, partition, next_offset FROM consumed JOIN wanted USING (topic, partition)
    UNION SELECT topic, partition, next_offset FROM created"""
MOVE_ON = """
    WITH swapped AS (
        UPDATE consumed SET next_offset = n.following
        FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
            AS n(topic, partition, expected, following)
        WHERE consumed.topic = n.topic AND consumed.partition = n.partition AND next_offset = n.expected
        RETURNING 1),
    decided AS (
        UPDATE lane SET
            next_decided = greatest(next_decided, n.decided), next_heard = greatest(next_heard, n.heard)
        FROM unnest($5::int[], $6::bigint[], $7::bigint[]) AS n(lane, decided, heard)
        WHERE lane.lane = n.lane),
    heard AS (
        INSERT INTO high_water SELECT * FROM unnest($8::text[], $9::int[], $10::bigint[])
        ON CONFLICT (source, lane) DO UPDATE SET sequence = excluded.sequence)
    SELECT count(*) FROM swapped"""

LANES = """
    SELECT lane, epoch, next_decided, next_heard FROM lane WHERE lane = ANY($1::int[])
    ORDER BY lane FOR UPDATE"""

_WAITS = "state IN ('parked', 'queued', 'replaying', 'discarding')"
HEARD = f"""
    SELECT source AS name, lane, sequence FROM high_water WHERE lane = ANY($1::int[])
    UNION ALL
    SELECT key, NULL::int, count(*) FROM parked
    WHERE lane = ANY($1::int[]) AND {_WAITS} GROUP BY key"""  # noqa: S608 - a text of ours

HANDLED = """
    SELECT tenant, command_id, digest FROM handled
    WHERE (tenant, command_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"""
HANDLED_AT = "SELECT lane, first_seq, rows, digest FROM handled WHERE tenant = $1 AND command_id = $2"

LOAD = """
    SELECT key, version, version = k.known AS unchanged, CASE WHEN version <> k.known THEN part END AS part
    FROM part JOIN unnest($1::text[], $2::bigint[]) AS k(key, known) USING (key)"""
LOOK = """
    SELECT key, version, version = k.known AS unchanged, CASE WHEN version <> k.known THEN part END AS part,
        NULL::uuid AS command_id, NULL::bytea AS digest
    FROM part JOIN unnest($1::text[], $2::bigint[]) AS k(key, known) USING (key)
    UNION ALL
    SELECT tenant, NULL, NULL, NULL, command_id, digest FROM handled
    WHERE (tenant, command_id) IN (SELECT * FROM unnest($3::text[], $4::uuid[]))"""
LOAD_LOCKED = LOAD + " ORDER BY key FOR UPDATE OF part"
CREATE_PARTS = """
    INSERT INTO part (key, lane, version) SELECT k, -1, 0 FROM unnest($1::text[]) AS k ORDER BY k
    ON CONFLICT DO NOTHING RETURNING key"""
SAVE_PARTS = """
    INSERT INTO part (key, lane, version, part)
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::json[])
    ON CONFLICT (key) DO UPDATE SET lane = excluded.lane, version = excluded.version, part = excluded.part"""

PUBLISHED = "SELECT lane, published, chained, head FROM relay WHERE lane = ANY($1::int[])"
ROWS = f"""
    SELECT {", ".join(LOG_COLUMNS)} FROM log
    WHERE lane = $1 AND origin = 'decided' AND seq > $2 ORDER BY seq LIMIT $3"""  # noqa: S608 - column names
# What a payload takes is told without reading it, where it is stored apart.
UNPUBLISHED = f"""
    SELECT {", ".join(LOG_COLUMNS)}
    FROM (SELECT *, sum(pg_column_size(payload)) OVER (ORDER BY seq) AS bytes FROM ({ROWS}) AS next) AS summed
    WHERE bytes <= $4 OR bytes = pg_column_size(payload) ORDER BY seq"""  # noqa: S608 - column names
FIRST = f"""
    SELECT {", ".join(LOG_COLUMNS)} FROM log
    WHERE tenant = $1 AND stream = $2 AND type = ANY($3::text[])
    ORDER BY stream_version LIMIT 1"""  # noqa: S608 - column names
MARK_PUBLISHED = """
    WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO relay (lane, published, chained, head) SELECT n.*
    FROM soon, unnest($1::int[], $2::bigint[], $3::bigint[], $4::bytea[]) AS n
    ON CONFLICT (lane) DO UPDATE SET
        published = greatest(relay.published, excluded.published),
        chained = greatest(relay.chained, excluded.chained),
        head = CASE WHEN relay.chained < excluded.chained THEN excluded.head ELSE relay.head END"""
ANCHOR = """
    INSERT INTO anchor (lane, seq, head, at)
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[], $4::timestamptz[]) ON CONFLICT DO NOTHING"""
NEXT_ANCHOR = "SELECT seq, head, at FROM anchor WHERE lane = $1 AND seq > $2 ORDER BY seq LIMIT 1"

DUE = """
    SELECT lane, key, name, due_at FROM timer WHERE lane = ANY($1::int[]) AND due_at <= $2
    ORDER BY due_at, key, name LIMIT $3"""
NEXT_DUE = """
    SELECT min(first.due_at) AS due_at FROM unnest($1::int[]) AS of (number),
    LATERAL (SELECT due_at FROM timer WHERE lane = of.number ORDER BY due_at LIMIT 1) AS first"""
POSTPONE_TIMER = """
    UPDATE timer SET due_at = $4 WHERE key = $1 AND name = $2 AND due_at = $3 RETURNING key"""
END_TIMERS = """
    DELETE FROM timer USING unnest($1::text[], $2::text[], $3::timestamptz[]) AS d(key, name, due_at)
    WHERE timer.key = d.key AND timer.name = d.name AND timer.due_at = d.due_at"""
TIMERS_LEFT = """
    SELECT count(*) FROM timer JOIN unnest($1::text[], $2::text[]) AS d(key, name)
    ON timer.key = d.key AND timer.name = d.name"""
SAVE_TIMERS = """
    INSERT INTO timer SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[])
    ON CONFLICT (key, name) DO UPDATE SET due_at = excluded.due_at"""

SAVE_EFFECTS = """
    INSERT INTO effect (effect_id, lane, key) SELECT * FROM unnest($1::text[], $2::int[], $3::text[])
    ON CONFLICT DO NOTHING"""
END_EFFECTS = "DELETE FROM effect WHERE effect_id = ANY($1::text[])"
CLAIM_EFFECTS = """
    WITH soonest AS (
        SELECT first.key FROM unnest($1::int[]) AS of (number), LATERAL (
            SELECT key, due_at FROM effect WHERE lane = of.number AND due_at <= $2 ORDER BY due_at LIMIT $4
        ) AS first ORDER BY first.due_at LIMIT $4),
    known AS (
        SELECT effect_id, due_at, max(due_at) OVER (PARTITION BY key ORDER BY position) AS ahead FROM effect
        WHERE key = ANY(ARRAY(SELECT key FROM soonest))),
    looked AS (
        SELECT effect_id, known.ahead FROM effect JOIN known USING (effect_id)
        WHERE known.due_at <= $2 ORDER BY position LIMIT $4 FOR UPDATE OF effect SKIP LOCKED)
    UPDATE effect SET attempts = attempts + (looked.ahead <= $2)::int, due_at = CASE
        WHEN looked.ahead <= $2 THEN $2::timestamptz + make_interval(secs => $3)
        WHEN looked.ahead > $2 + make_interval(secs => $3) THEN looked.ahead
        ELSE least(looked.ahead, $2 + interval '1 second') END
    FROM looked WHERE effect.effect_id = looked.effect_id
    RETURNING lane, effect.effect_id, key, attempts, position, looked.ahead <= $2 AS claimed"""
"""What stands behind one that is put off is put off as long, lest each look find it again; behind one that is
claimed, or soon due again, for a second."""
POSTPONE_EFFECT = """
    UPDATE effect SET due_at = $2 FROM (SELECT key, position FROM effect WHERE effect_id = $1) AS late
    WHERE effect.key = late.key
        AND (effect.position = late.position OR ($3 AND effect.position > late.position))"""

_PARKED_COLUMNS = """id, lane, key, topic, partition, "offset", code, reason, tenant, type, state, parked_at,
    record_id, told, told_seq, decided_by, note"""
_PARKED = f"""
    SELECT {_PARKED_COLUMNS} FROM parked"""  # noqa: S608 - column names
PARKED = (
    _PARKED
    + f""" WHERE (NOT $1 OR {_WAITS})
    AND ($2::text IS NULL OR tenant = $2) ORDER BY id LIMIT $3"""
)
PARK = """
    INSERT INTO parked
        (lane, key, topic, partition, "offset", code, reason, tenant, type, state, record_id, told, told_seq)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""
# Not what was replayed before, or is discarded meanwhile.
UNPARK = """
    UPDATE parked SET state = $2, code = $3, reason = $4, told = $5, told_seq = $6
    WHERE id = $1 AND told = $5 - 1 AND state IN ('queued', 'replaying', 'discarding')"""
REPLAYING = (
    _PARKED
    + """ AS p WHERE lane = ANY($1::int[]) AND state IN ('queued', 'replaying', 'discarding') AND NOT EXISTS
    (SELECT FROM parked AS head WHERE head.key = p.key AND head.state = 'parked' AND head.id < p.id)
    ORDER BY id LIMIT $2"""
)
RESOLVE_PARKED = """
    UPDATE parked SET state = $2, decided_by = $3, decided_at = now(), note = $4
    WHERE id = (SELECT min(id) FROM parked WHERE key = $1 AND state = 'parked') RETURNING id"""
WAITING = f"SELECT count(*) AS waiting FROM parked WHERE key = $1 AND {_WAITS}"  # noqa: S608 - a text of ours


def add_to(table: str, keys: Sequence[str], quantities: Sequence[str]) -> tuple[str, str, str]:
    """Three statements that add to the quantities (bigint) of rows by key (text).

    The first updates the rows that are there; where those were not all, the second finds their keys, and the
    third inserts the others. An upsert would not do: a CHECK is applied to the row proposed for insertion,
    and a negative addition would fail it.
    """
    arrays = [f"${i + 1}::text[]" for i in range(len(keys))]
    arrays += [f"${len(keys) + i + 1}::bigint[]" for i in range(len(quantities))]
    names = ", ".join((*keys, *quantities))
    added = ", ".join(f"{name} = {table}.{name} + n.{name}" for name in quantities)
    same = " AND ".join(f"{table}.{name} = n.{name}" for name in keys)
    found = ", ".join(f"{table}.{name}" for name in keys)
    source = f"unnest({', '.join(arrays)})"
    update = (
        f"UPDATE {table} SET {added} FROM {source} AS n({names}) "  # noqa: S608 - names come from code
        f"WHERE {same}"
    )
    names_only = f"unnest({', '.join(arrays[: len(keys)])}) AS n({', '.join(keys)})"
    known = f"SELECT {found} FROM {table} JOIN {names_only} ON {same}"  # noqa: S608 - names come from code
    insert = f"INSERT INTO {table} ({names}) SELECT * FROM {source}"  # noqa: S608 - names come from code
    return update, known, insert
