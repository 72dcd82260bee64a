-- Projections that the properties share. `scope` is a case of the suite, `grp` a consumer group;
-- events are compared by `seq`, their order within the scope. Bodies and ids are only ever compared;
-- message ids come in lower case, and `handle` stands for subscription and delivery.

-- Publishes: what was asked for, and what the binding said; without an answer it is `info`.
CREATE TABLE publishes AS
SELECT i.scope, i.uid, i.seq, i.body_hash, i.topic, i.key, i.producer, i.pseq, i.dedupe_key,
       coalesce(e.kind, 'info') AS outcome, e.seq AS ended
FROM events AS i
LEFT JOIN events AS e
  ON e.scope = i.scope AND e.uid = i.uid AND e.kind IN ('ok', 'fail', 'info')
WHERE i.kind = 'invoke';

-- What there is little of, taken together from the many.
CREATE TABLE rare AS
SELECT scope, seq, t_ns, kind, actor, grp, subscription, topic, body_hash, position, stream, corrupt,
       missing_headers, credit, backoff_base_ms, started, audited, drained, max_attempts, fault,
       request, domain, from_ns, until_ns, narrow
FROM events WHERE kind IN ('inject', 'dlq', 'mark', 'fault', 'checkpoint', 'replay');

-- Published raw, past the binding; `corrupt` bodies no handler may be given.
CREATE TABLE injected AS
SELECT scope, seq, body_hash, position, corrupt FROM rare WHERE kind = 'inject';
CREATE TABLE corrupt AS
SELECT DISTINCT scope, body_hash FROM injected WHERE corrupt;

-- Everything that may be delivered: published through the binding, or injected raw.
CREATE TABLE known AS
SELECT scope, body_hash FROM publishes UNION SELECT scope, body_hash FROM injected;

CREATE TABLE deliveries AS
SELECT scope, seq, t_ns, coalesce(started_ns, t_ns) AS started_ns, actor, grp, subscription, delivery, handle,
       body_hash, message_id, dedupe_key, topic, key, attempt, position, replay
FROM events WHERE kind = 'deliver';

-- Effects: deliveries whose handler succeeded; `confirmed` is when the binding had recorded it.
-- Two members may race: what one of them began (`started_ns`, its own stamp) within a quarter of a
-- second after the other's confirmation was heard is no proof, for no lock spans both.
CREATE TABLE effects AS
SELECT e.scope, e.seq, d.grp, d.subscription, d.delivery, d.handle, d.body_hash, d.message_id, d.dedupe_key,
       d.topic, d.key, d.replay, d.seq AS delivered, d.t_ns AS delivered_ns,
       d.started_ns, c.seq AS confirmed, c.t_ns AS confirmed_ns
FROM events AS e
JOIN deliveries AS d ON d.scope = e.scope AND d.handle = e.handle
LEFT JOIN (
  SELECT scope, handle, min(seq) AS seq, min(t_ns) AS t_ns
  FROM events WHERE kind = 'settled' AND recorded GROUP BY scope, handle) AS c
  ON c.scope = e.scope AND c.handle = e.handle
WHERE e.kind = 'effect';

-- How deliveries ended: by the handler's verdict, or because the binding gave up waiting.
CREATE TABLE ends AS
SELECT scope, handle, min(subscription) AS subscription, min(seq) AS seq,
       min(CASE WHEN kind = 'effect' THEN seq END) AS effect
FROM events WHERE kind IN ('effect', 'settle', 'abandoned')
GROUP BY scope, handle;

-- What the raw client read from the log at the end, live records and dead letters.
CREATE TABLE stored AS
SELECT scope, seq, stream, position, TRY_CAST(position AS BIGINT) AS place, topic, key,
       message_id, dedupe_key, body_hash, produced_ns
FROM events WHERE kind = 'audit';
CREATE TABLE graves AS
SELECT scope, seq, stream, position, topic, body_hash, missing_headers
FROM rare WHERE kind = 'dlq';

-- What was asked of drivers and members, and how far the run has come.
CREATE TABLE marks AS
SELECT scope, seq, subscription, credit, backoff_base_ms, started, audited, drained, max_attempts
FROM rare WHERE kind = 'mark';

-- What the harness did and saw at the process and the network.
CREATE TABLE faults AS
SELECT scope, seq, t_ns, actor, subscription, fault FROM rare WHERE kind = 'fault';

-- Consumer groups.
CREATE TABLE circles AS
SELECT DISTINCT scope, grp FROM events WHERE grp IS NOT NULL;

-- Scopes: whether the log was read to its end and everything was given time to be handled, how
-- many groups they have, how often was to be tried, whether the raw client's own records are kept.
CREATE TABLE scopes AS
SELECT e.scope, coalesce(m.audited, FALSE) AS audited, coalesce(m.waited, FALSE) AS waited,
       coalesce(g.groups, 0) AS groups, m.max_attempts,
       coalesce(m.late_start, FALSE) AS late_start,
       coalesce(f.broker_killed, FALSE) AS broker_killed, coalesce(r.raw_lost, FALSE) AS raw_lost
FROM (SELECT DISTINCT scope FROM events) AS e
LEFT JOIN (
  SELECT scope, bool_or(coalesce(audited, FALSE)) AS audited,
         bool_or(drained IS NOT NULL) AS waited, min(max_attempts) AS max_attempts,
         bool_or(started <> 'earliest') AS late_start
  FROM marks GROUP BY scope) AS m ON m.scope = e.scope
LEFT JOIN (SELECT scope, count(*) AS groups FROM circles GROUP BY scope) AS g ON g.scope = e.scope
LEFT JOIN (
  SELECT scope, bool_or(fault IN ('kill-broker', 'kill and restart')) AS broker_killed
  FROM faults GROUP BY scope) AS f ON f.scope = e.scope
LEFT JOIN (
  SELECT i.scope, TRUE AS raw_lost FROM injected AS i
  ANTI JOIN stored AS t ON t.scope = i.scope AND t.body_hash = i.body_hash
  ANTI JOIN graves AS g ON g.scope = i.scope AND g.body_hash = i.body_hash
  WHERE i.position IS NOT NULL GROUP BY i.scope) AS r ON r.scope = e.scope;

-- Stored records whose body had no effect in a group, and which of these the group is through with
-- all the same: by an effect of the same id, of the same dedupe key, of another record that was read
-- from the same place, or by a grave.
CREATE TABLE unhandled AS
SELECT s.scope, g.grp, s.seq, s.stream, s.position, s.place, s.topic, s.message_id, s.dedupe_key,
       s.body_hash, s.produced_ns
FROM stored AS s
JOIN circles AS g ON g.scope = s.scope
ANTI JOIN effects AS e ON e.scope = s.scope AND e.grp = g.grp AND e.body_hash = s.body_hash;
CREATE TABLE excused AS
SELECT u.scope, u.grp, u.stream, u.position FROM unhandled AS u
JOIN effects AS e
  ON e.scope = u.scope AND e.grp = u.grp AND e.message_id = u.message_id AND e.topic = u.topic
UNION
SELECT u.scope, u.grp, u.stream, u.position FROM unhandled AS u
JOIN effects AS e
  ON e.scope = u.scope AND e.grp = u.grp AND e.dedupe_key = u.dedupe_key AND e.topic = u.topic
UNION
SELECT u.scope, u.grp, u.stream, u.position FROM unhandled AS u
JOIN stored AS s ON s.scope = u.scope AND s.stream = u.stream AND s.position = u.position
JOIN effects AS e ON e.scope = u.scope AND e.grp = u.grp AND e.body_hash = s.body_hash
UNION
SELECT u.scope, u.grp, u.stream, u.position FROM unhandled AS u
JOIN graves AS d ON d.scope = u.scope AND d.body_hash = u.body_hash;

-- The lanes that a group has worked on, and how far: topic and key of a stored record that took
-- effect. Whether a subscription covers a topic needs no second reading of patterns this way.
CREATE TABLE lanes AS
SELECT e.scope, e.grp, s.stream, s.topic, s.key, max(s.place) AS reached
FROM effects AS e
JOIN stored AS s ON s.scope = e.scope AND s.body_hash = e.body_hash AND s.topic = e.topic
JOIN scopes AS c ON c.scope = e.scope AND NOT c.late_start
GROUP BY e.scope, e.grp, s.stream, s.topic, s.key;

-- Stored records of a lane, each with its group.
CREATE TABLE due AS
SELECT s.scope, l.grp, s.seq, s.stream, s.position, s.place, s.body_hash, l.reached,
       o.scope IS NULL AND s.position IS NOT NULL AS settled
FROM stored AS s
JOIN lanes AS l
  ON l.scope = s.scope AND l.stream = s.stream AND l.topic = s.topic AND l.key = s.key
LEFT JOIN (
  SELECT DISTINCT u.scope, u.grp, u.stream, u.position FROM unhandled AS u
  ANTI JOIN excused AS x
    ON x.scope = u.scope AND x.grp = u.grp AND x.stream = u.stream AND x.position = u.position) AS o
  ON o.scope = s.scope AND o.grp = l.grp AND o.stream = s.stream AND o.position = s.position;

-- Publishes that were acknowledged, as each group was given them and as they took effect there.
CREATE TABLE handed AS
SELECT d.scope, d.grp, d.seq, d.body_hash, p.producer, p.key, p.pseq, p.uid
FROM deliveries AS d
JOIN publishes AS p ON p.scope = d.scope AND p.body_hash = d.body_hash AND p.outcome = 'ok';
CREATE TABLE taken AS
SELECT e.scope, e.grp, e.seq, e.topic, p.producer, p.key, p.topic AS published, p.pseq, p.uid
FROM effects AS e
JOIN publishes AS p ON p.scope = e.scope AND p.body_hash = e.body_hash AND p.outcome = 'ok';

-- Bodies that a group was given more than once, and when first.
CREATE TABLE repeated AS
SELECT scope, grp, body_hash, min(seq) AS first
FROM deliveries GROUP BY scope, grp, body_hash HAVING count(*) > 1;

-- How far the broker counts a group, as the raw client asked again and again.
CREATE TABLE checkpoints AS
SELECT scope, seq, grp, stream, TRY_CAST(position AS BIGINT) AS place
FROM rare WHERE kind = 'checkpoint';

-- Members that were frozen, and for how long: what they had buffered is nobody's fault.
CREATE TABLE pauses AS
SELECT p.scope, p.subscription, p.seq AS paused, min(r.seq) AS resumed, min(r.t_ns) AS resumed_ns
FROM faults AS p
JOIN faults AS r
  ON r.scope = p.scope AND r.subscription = p.subscription AND r.seq > p.seq
 AND r.fault = 'resumed'
WHERE p.fault = 'paused'
GROUP BY p.scope, p.subscription, p.seq;

-- Everything that passed by on the wire, also what no stream took: the attempts of producers.
CREATE TABLE sent AS
SELECT scope, seq, topic, message_id, body_hash, at_ns
FROM events WHERE kind = 'wire';
CREATE TABLE resent AS
SELECT scope, body_hash FROM sent GROUP BY scope, body_hash HAVING count(*) > 1;

-- The pauses between the attempts (`n` from 1) at publishes that were not acknowledged, where the
-- binding was told a backoff that can be measured; summed up by the number of the attempt.
CREATE TABLE gaps AS
SELECT w.scope, w.seq,
       (w.at_ns - lag(w.at_ns) OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq)) / 1000000.0 AS ms,
       row_number() OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq) - 1 AS n
FROM sent AS w
SEMI JOIN resent AS r ON r.scope = w.scope AND r.body_hash = w.body_hash
SEMI JOIN marks AS f ON f.scope = w.scope AND f.backoff_base_ms >= 200
SEMI JOIN publishes AS p
  ON p.scope = w.scope AND p.body_hash = w.body_hash AND p.outcome <> 'ok';
CREATE TABLE medians AS
SELECT scope, n, max(seq) AS seq, median(ms) AS middle, count(*) AS records,
       quantile_cont(ms, 0.9) - quantile_cont(ms, 0.1) AS spread
FROM gaps WHERE n >= 1 GROUP BY scope, n;

-- Replay requests, and the deliveries that answer them.
CREATE TABLE requests AS
SELECT scope, seq, request, domain, from_ns, until_ns, coalesce(narrow, FALSE) AS narrow,
       split_part(topic, '.', 2) AS env
FROM rare WHERE kind = 'replay';
CREATE TABLE replayed AS
SELECT scope, seq, grp, subscription, delivery, replay, topic, message_id, body_hash, position
FROM deliveries WHERE replay IS NOT NULL;
