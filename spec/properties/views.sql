-- Projections that the properties share. `scope` is a case of the suite, `grp` a consumer group;
-- events are compared by `seq`, their order within the scope.

-- Publishes: what was asked for, and what the binding said; without an answer it is `info`.
CREATE TABLE publishes AS
SELECT i.scope, i.uid, i.seq, i.body_hash, i.topic, i.key, i.producer, i.pseq, i.dedupe_key,
       coalesce(e.kind, 'info') AS outcome, e.seq AS ended
FROM events AS i
LEFT JOIN events AS e
  ON e.scope = i.scope AND e.uid = i.uid AND e.kind IN ('ok', 'fail', 'info')
WHERE i.kind = 'invoke';

-- Bodies that were published or injected more than once: they do not tell which of the calls they
-- came from.
CREATE TABLE twins AS
SELECT scope, body_hash FROM events WHERE kind IN ('invoke', 'inject')
GROUP BY scope, body_hash HAVING count(*) > 1;

-- Everything that may be delivered: published through the binding, or injected raw.
CREATE TABLE known AS
SELECT DISTINCT scope, body_hash FROM events WHERE kind IN ('invoke', 'inject');

CREATE TABLE deliveries AS
SELECT scope, seq, t_ns, coalesce(started_ns, t_ns) AS started_ns, actor, grp, subscription, delivery, body_hash,
       lower(message_id) AS message_id, dedupe_key, topic, key, attempt, position, replay
FROM events WHERE kind = 'deliver';

-- Effects: deliveries whose handler succeeded; `confirmed` is when the binding had recorded it.
-- Two members may race: what one of them began (`started_ns`, its own stamp) within a quarter of a
-- second after the other's confirmation was heard is no proof, for no lock spans both.
CREATE TABLE effects AS
SELECT e.scope, e.seq, d.grp, d.subscription, d.delivery, d.body_hash, d.message_id, d.dedupe_key,
       d.topic, d.key, d.replay, d.seq AS delivered, d.t_ns AS delivered_ns,
       d.started_ns, min(c.seq) AS confirmed, min(c.t_ns) AS confirmed_ns
FROM events AS e
JOIN deliveries AS d
  ON d.scope = e.scope AND d.subscription = e.subscription AND d.delivery = e.delivery
LEFT JOIN events AS c
  ON c.scope = e.scope AND c.subscription = e.subscription AND c.delivery = e.delivery
 AND c.kind = 'settled' AND c.recorded
WHERE e.kind = 'effect'
GROUP BY ALL;

-- How deliveries ended: by the handler's verdict, or because the binding gave up waiting.
CREATE TABLE ends AS
SELECT scope, subscription, delivery, min(seq) AS seq,
       min(CASE WHEN kind = 'effect' THEN seq END) AS effect
FROM events WHERE kind IN ('effect', 'settle', 'abandoned')
GROUP BY scope, subscription, delivery;

-- What the raw client read from the log at the end, live records and dead letters. A stream is a log
-- with one order (a JetStream stream, a Kafka partition), `place` the number of a record in it: what
-- stands behind the last colon of its position.
CREATE TABLE stored AS
SELECT scope, seq, stream, position, TRY_CAST(split_part(position, ':', -1) AS BIGINT) AS place, topic, key,
       lower(message_id) AS message_id, dedupe_key, body_hash, produced_ns
FROM events WHERE kind = 'audit';
CREATE TABLE graves AS
SELECT scope, seq, stream, position, topic, body_hash, missing_headers
FROM events WHERE kind = 'dlq';

-- Bodies that no handler may be given.
CREATE TABLE corrupt AS
SELECT DISTINCT scope, body_hash FROM events WHERE kind = 'inject' AND corrupt;

-- Scopes: whether the log was read to its end and everything was given time to be handled, how
-- many groups they have, how often was to be tried, whether the raw client's own records are kept.
CREATE TABLE scopes AS
SELECT e.scope, bool_or(coalesce(e.audited, FALSE)) AS audited,
       bool_or(e.drained IS NOT NULL) AS waited,
       -- What was in some hands ten seconds before the waiting ended may be there still.
       max(CASE WHEN e.drained IS NOT NULL THEN e.t_ns END) - 10000000000 AS horizon_ns,
       count(DISTINCT e.grp) AS groups, max(e.max_attempts) AS max_attempts,
       bool_or(e.kind = 'mark' AND e.started <> 'earliest') AS late_start,
       bool_or(e.kind = 'fault' AND e.fault IN ('kill-broker', 'kill and restart')) AS broker_killed,
       bool_or(e.kind = 'inject' AND e.position IS NOT NULL AND s.scope IS NULL) AS raw_lost
FROM events AS e
LEFT JOIN (
  SELECT DISTINCT scope, body_hash FROM events WHERE kind IN ('audit', 'dlq')) AS s
  ON e.kind = 'inject' AND s.scope = e.scope AND s.body_hash = e.body_hash
GROUP BY e.scope;

-- What a group is through with: an effect of the body, of its id, or of its dedupe key; or a grave.
CREATE TABLE done AS
SELECT DISTINCT s.scope, e.grp, s.position, s.stream
FROM stored AS s JOIN effects AS e ON e.scope = s.scope AND e.body_hash = s.body_hash
UNION
SELECT DISTINCT s.scope, e.grp, s.position, s.stream
FROM stored AS s JOIN effects AS e
  ON e.scope = s.scope AND e.message_id = s.message_id AND e.topic = s.topic
UNION
SELECT DISTINCT s.scope, e.grp, s.position, s.stream
FROM stored AS s JOIN effects AS e
  ON e.scope = s.scope AND e.dedupe_key = s.dedupe_key AND e.topic = s.topic
UNION
SELECT DISTINCT s.scope, g.grp, s.position, s.stream
FROM stored AS s
JOIN graves AS d ON d.scope = s.scope AND d.body_hash = s.body_hash
JOIN (SELECT DISTINCT scope, grp FROM events WHERE grp IS NOT NULL) AS g ON g.scope = s.scope;

-- The lanes that a group has worked on, and how far: topic and key of a stored record that took
-- effect (of several copies the first, for it is not known which one was handled). Whether a
-- subscription covers a topic needs no second reading of patterns this way.
CREATE TABLE lanes AS
SELECT e.scope, e.grp, s.stream, s.topic, s.key, max(s.place) AS reached
FROM effects AS e
JOIN (
  SELECT scope, stream, topic, key, body_hash, min(place) AS place FROM stored GROUP BY ALL) AS s
  ON s.scope = e.scope AND s.body_hash = e.body_hash AND s.topic = e.topic
JOIN scopes AS c ON c.scope = e.scope AND NOT c.late_start
-- A replay may be ahead of the group.
WHERE e.replay IS NULL
GROUP BY e.scope, e.grp, s.stream, s.topic, s.key;

-- Stored records of a lane, each with its group: whether it is through with it, and whether there
-- was no time left for that since the group was last given it.
CREATE TABLE due AS
SELECT s.scope, l.grp, s.seq, s.stream, s.position, s.place, s.topic, s.key, s.message_id,
       s.dedupe_key, s.body_hash, s.produced_ns, l.reached,
       d.position IS NOT NULL AS settled, f.scope IS NOT NULL AS fresh
FROM stored AS s
JOIN lanes AS l
  ON l.scope = s.scope AND l.stream = s.stream AND l.topic = s.topic AND l.key = s.key
LEFT JOIN done AS d
  ON d.scope = s.scope AND d.grp = l.grp AND d.stream = s.stream AND d.position = s.position
LEFT JOIN (
  SELECT DISTINCT d.scope, d.grp, d.body_hash
  FROM deliveries AS d JOIN scopes AS c ON c.scope = d.scope AND d.t_ns > c.horizon_ns) AS f
  ON f.scope = s.scope AND f.grp = l.grp AND f.body_hash = s.body_hash;

-- How far the broker counts a group, as the raw client asked again and again.
CREATE TABLE checkpoints AS
SELECT scope, seq, grp, stream, TRY_CAST(split_part(position, ':', -1) AS BIGINT) AS place
FROM events WHERE kind = 'checkpoint';

-- Members that were frozen, and for how long: what they had buffered is nobody's fault.
CREATE TABLE pauses AS
SELECT p.scope, p.subscription, p.seq AS paused, min(r.seq) AS resumed, min(r.t_ns) AS resumed_ns
FROM events AS p
JOIN events AS r
  ON r.scope = p.scope AND r.subscription = p.subscription AND r.seq > p.seq
 AND r.kind = 'fault' AND r.fault = 'resumed'
WHERE p.kind = 'fault' AND p.fault = 'paused'
GROUP BY p.scope, p.subscription, p.seq;

-- Everything that passed by on the wire, also what no stream took: the attempts of producers.
CREATE TABLE sent AS
SELECT scope, seq, topic, lower(message_id) AS message_id, body_hash, at_ns
FROM events WHERE kind = 'wire';

-- Replay requests, and the deliveries that answer them.
CREATE TABLE requests AS
SELECT scope, seq, request, domain, from_ns, until_ns, coalesce(narrow, FALSE) AS narrow,
       split_part(topic, '.', 2) AS env
FROM events WHERE kind = 'replay';
CREATE TABLE replayed AS
SELECT scope, seq, grp, subscription, delivery, replay, topic, lower(message_id) AS message_id,
       body_hash, position
FROM events WHERE kind = 'deliver' AND replay IS NOT NULL;
