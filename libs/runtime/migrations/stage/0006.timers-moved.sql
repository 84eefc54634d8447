-- depends: 0005.parked_told
-- The small batch as one call, as before but for timers: one that was moved since it was read, for another moment, stays
-- when the one that was read has rung (ADR 13). What moved it may be of a stream that the ring read without a lock.

-- OL001: another has moved on (`Fenced`). OL002: a stream is not as it was read (`Overtaken`). Each statement sees what
-- was committed by then, so what is looked at behind a lock is what the lock's former holder left. Rows are few and found by
-- their keys: left to itself, the server plans each statement anew in each call, which costs a third of it.
CREATE OR REPLACE FUNCTION commit_batch(
    lanes batch_lane[], held batch_held[], offsets batch_offset[], marks batch_mark[], decided batch_row[],
    new_parts batch_part[], parts batch_part[], commands batch_command[], rung batch_timer[], timers batch_timer[],
    owed batch_effect[], settled text[]
) RETURNS boolean LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    there bigint;
    same bigint;
BEGIN
    SELECT count(*) INTO same FROM (
        SELECT lane.lane FROM lane JOIN unnest(lanes) AS l ON l.lane = lane.lane
        WHERE lane.epoch = l.epoch AND lane.next_decided = l.next_decided AND lane.next_heard = l.next_heard
        ORDER BY lane.lane FOR UPDATE OF lane) AS locked;
    IF same <> cardinality(lanes) THEN
        RAISE EXCEPTION 'a lane is not where this owner left it' USING ERRCODE = 'OL001';
    END IF;
    IF cardinality(held) > 0 THEN
        SELECT count(*), count(*) FILTER (WHERE as_read) INTO there, same FROM (
            SELECT part.version = h.version AS as_read FROM part JOIN unnest(held) AS h ON h.key = part.key
            ORDER BY part.key FOR UPDATE OF part) AS locked;
        IF there < cardinality(held) THEN  -- what was never written is locked by being made
            INSERT INTO part (key, lane, version) SELECT h.key, -1, 0 FROM unnest(held) AS h WHERE h.version = 0
            ORDER BY h.key ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS there = ROW_COUNT;
            same := same + there;
        END IF;
        IF same <> cardinality(held) THEN
            RAISE EXCEPTION 'a stream was changed since it was read' USING ERRCODE = 'OL002';
        END IF;
    END IF;
    IF cardinality(offsets) > 0 THEN
        UPDATE consumed SET next_offset = o.following FROM unnest(offsets) AS o
        WHERE consumed.topic = o.topic AND consumed.partition = o.partition AND consumed.next_offset = o.expected;
        GET DIAGNOSTICS same = ROW_COUNT;
        IF same <> cardinality(offsets) THEN
            RAISE EXCEPTION 'an offset is not where this owner left it' USING ERRCODE = 'OL001';
        END IF;
    END IF;
    IF cardinality(marks) > 0 THEN
        INSERT INTO high_water (source, lane, sequence) SELECT m.source, m.lane, m.sequence FROM unnest(marks) AS m
        ON CONFLICT (source, lane) DO UPDATE SET sequence = excluded.sequence;
    END IF;
    IF cardinality(decided) > 0 THEN
        UPDATE lane SET next_decided = l.then_decided, next_heard = l.then_heard FROM unnest(lanes) AS l
        WHERE lane.lane = l.lane AND (l.then_decided, l.then_heard) <> (l.next_decided, l.next_heard);
        INSERT INTO log (lane, origin, seq, event_id, tenant, stream, stream_version, type, version, payload,
            context, at, recorded_at)
        SELECT d.lane, d.origin, d.seq, d.event_id, d.tenant, d.stream, d.stream_version, d.type, d.version, d.payload,
            d.context, d.at, d.recorded_at FROM unnest(decided) AS d;
    END IF;
    IF cardinality(new_parts) > 0 THEN
        INSERT INTO part (key, lane, version, part)
        SELECT n.key, n.lane, n.version, n.part FROM unnest(new_parts) AS n ORDER BY n.key;
    END IF;
    IF cardinality(parts) > 0 THEN
        INSERT INTO part (key, lane, version, part) SELECT n.key, n.lane, n.version, n.part FROM unnest(parts) AS n
        ON CONFLICT (key) DO UPDATE SET lane = excluded.lane, version = excluded.version, part = excluded.part;
    END IF;
    IF cardinality(commands) > 0 THEN
        INSERT INTO handled (tenant, command_id, digest, lane, first_seq, rows)
        SELECT c.tenant, c.command_id, c.digest, c.lane, c.first_seq, c.rows FROM unnest(commands) AS c;
    END IF;
    IF cardinality(rung) > 0 THEN
        DELETE FROM timer USING unnest(rung) AS r
        WHERE timer.key = r.key AND timer.name = r.name AND timer.due_at = r.due_at;
        GET DIAGNOSTICS same = ROW_COUNT;
        IF same < cardinality(rung) THEN  -- what was asked for again meanwhile rings again
            SELECT count(*) INTO there FROM timer JOIN unnest(rung) AS r ON timer.key = r.key AND timer.name = r.name;
            IF same + there < cardinality(rung) THEN
                RAISE EXCEPTION 'a timer that rang is not there: it was rung before' USING ERRCODE = 'OL001';
            END IF;
        END IF;
    END IF;
    IF cardinality(timers) > 0 THEN
        INSERT INTO timer (key, name, lane, due_at) SELECT t.key, t.name, t.lane, t.due_at FROM unnest(timers) AS t
        ON CONFLICT (key, name) DO UPDATE SET due_at = excluded.due_at;
    END IF;
    IF cardinality(owed) > 0 THEN
        INSERT INTO effect (effect_id, lane, key) SELECT o.effect_id, o.lane, o.key FROM unnest(owed) AS o
        ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(settled) > 0 THEN
        DELETE FROM effect WHERE effect_id = ANY(settled);
    END IF;
    RETURN true;
END $$;
