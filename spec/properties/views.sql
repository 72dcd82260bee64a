-- Projections that the properties share. `scope` is a case of the suite, `grp` a consumer group;
-- events are compared by `seq`, their order within the scope. Bodies and ids are only ever compared,
-- and come as codes: `body_hash`, `message_id` (of lower case), `dedupe_key`, `call` for the uid of a
-- publish, `handle` for the subscription and delivery together. What has one code is of one scope.
-- Besides `events` there is `seen`: which consumer groups (`grp`, or NULL) each scope has events of.

-- What there is little of, taken together from the many.
CREATE TABLE rare AS
SELECT scope, seq, t_ns, kind, actor, grp, subscription, topic, body_hash, position, stream, corrupt,
       missing_headers, credit, backoff_base_ms, max_attempts, started, audited, drained, fault, request,
       domain, from_ns, until_ns, narrow
FROM events WHERE kind IN ('inject', 'dlq', 'mark', 'fault', 'checkpoint', 'replay');

-- Published raw, past the binding.
CREATE TABLE injected AS
SELECT scope, seq, body_hash, position, corrupt FROM rare WHERE kind = 'inject';

-- Bodies that no handler may be given.
CREATE TABLE corrupt AS
SELECT DISTINCT scope, body_hash FROM injected WHERE corrupt;

-- Bodies that were published or injected more than once: they do not tell which of the calls they
-- came from.
CREATE TABLE twins AS
SELECT body_hash FROM events WHERE kind IN ('invoke', 'inject') AND body_hash IS NOT NULL
GROUP BY body_hash HAVING count(*) > 1;

-- What the binding said first of each publish.
CREATE TABLE answers AS
SELECT call, min(seq) AS seq, min_by(kind, seq) AS kind
FROM events WHERE kind IN ('ok', 'fail', 'info') AND call IS NOT NULL GROUP BY call;

-- Publishes: what was asked for, and what the binding said; without an answer it is `info`. `sole`
-- is a call whose body nobody else has sent, `lane` its producer, topic and key.
CREATE TABLE publishes AS
SELECT i.scope, i.uid, i.seq, i.body_hash, i.topic, i.pseq, i.dedupe_key,
       hash(i.scope, i.producer, i.topic, i.key) AS lane, t.body_hash IS NULL AS sole,
       coalesce(a.kind, 'info') AS outcome, a.seq AS ended
FROM events AS i
LEFT JOIN answers AS a ON a.call = i.call
LEFT JOIN twins AS t ON t.body_hash = i.body_hash
WHERE i.kind = 'invoke';

-- Everything that may be delivered: published through the binding, or injected raw.
CREATE VIEW known AS
SELECT body_hash FROM publishes UNION ALL SELECT body_hash FROM injected;

-- How and when each delivery ended first (by the handler's verdict, or because the binding gave up
-- waiting), when its handler succeeded, and when the binding had recorded that.
CREATE TABLE ends AS
SELECT handle, min(CASE WHEN kind <> 'settled' THEN seq END) AS seq,
       min(CASE WHEN kind = 'effect' THEN seq END) AS effect,
       max(CASE WHEN kind = 'effect' THEN seq END) AS last_effect,
       min(CASE WHEN kind = 'settled' AND recorded THEN seq END) AS confirmed,
       min(CASE WHEN kind = 'settled' AND recorded THEN t_ns END) AS confirmed_ns
FROM events WHERE kind IN ('effect', 'settle', 'abandoned', 'settled') AND handle IS NOT NULL
GROUP BY handle;

-- Effects of one delivery after its first.
CREATE TABLE more AS
SELECT e.handle, v.seq AS effect, e.seq, e.confirmed, e.confirmed_ns
FROM (SELECT * FROM ends WHERE last_effect > effect) AS e
JOIN events AS v ON v.handle = e.handle AND v.kind = 'effect' AND v.seq > e.effect;

-- What handlers were given, and what became of it; `dead` is a dead letter. Where the body tells the
-- publish and that was acknowledged, its lane and number; `live` is a delivery of just that, under its
-- topic and in no replay. One delivery has a row for each of its effects, `again` from the second on.
-- Two members may race: what one of them began (`started_ns`, its own stamp) within a quarter of a
-- second after the other's confirmation was heard is no proof, for no lock spans both.
CREATE TABLE handled AS
SELECT d.scope, d.seq, d.t_ns, coalesce(d.started_ns, d.t_ns) AS started_ns, d.actor, d.grp, d.subscription,
       d.delivery, d.body_hash, d.message_id, d.dedupe_key, d.topic, d.key, d.attempt, d.position,
       d.replay, d.topic LIKE 'ampy.%.dlq.%' AS dead,
       p.lane, p.pseq, d.replay IS NULL AND p.topic = d.topic AS live,
       e.seq AS ended, e.effect, coalesce(e.again, FALSE) AS again, e.confirmed, e.confirmed_ns
FROM events AS d
LEFT JOIN (SELECT * FROM publishes WHERE outcome = 'ok' AND sole) AS p ON p.body_hash = d.body_hash
LEFT JOIN (
  SELECT handle, seq, effect, confirmed, confirmed_ns, FALSE AS again FROM ends
  UNION ALL
  SELECT handle, seq, effect, confirmed, confirmed_ns, TRUE AS again FROM more) AS e
  ON e.handle = d.handle
WHERE d.kind = 'deliver';

CREATE VIEW deliveries AS
SELECT scope, seq, t_ns, started_ns, actor, grp, subscription, delivery, body_hash, message_id, dedupe_key,
       topic, key, attempt, position, replay, dead, lane, pseq, live, ended, effect, confirmed
FROM handled WHERE NOT again;

-- Effects: deliveries whose handler succeeded; `confirmed` is when the binding had recorded it.
CREATE VIEW effects AS
SELECT scope, effect AS seq, grp, subscription, delivery, body_hash, message_id, dedupe_key, topic, key,
       replay, dead, lane, pseq, live, seq AS delivered, t_ns AS delivered_ns, started_ns, confirmed,
       confirmed_ns
FROM handled WHERE effect IS NOT NULL;

-- What the raw client read from the log at the end, live records and dead letters. A stream is a log
-- with one order (a JetStream stream, a Kafka partition), `place` the number of a record in it: what
-- stands behind the last colon of its position.
CREATE TABLE stored AS
SELECT scope, seq, stream, position, TRY_CAST(split_part(position, ':', -1) AS BIGINT) AS place, topic, key,
       message_id, dedupe_key, body_hash, produced_ns
FROM events WHERE kind = 'audit';
CREATE TABLE graves AS
SELECT scope, seq, stream, position, topic, body_hash, missing_headers
FROM rare WHERE kind = 'dlq';

-- Bodies that are stored more than once.
CREATE TABLE copies AS
SELECT scope, body_hash, min(place) AS place, max(seq) AS seq, count(*) AS number
FROM stored GROUP BY scope, body_hash HAVING count(*) > 1;

-- Acknowledged publishes that are stored nowhere.
CREATE TABLE gone AS
SELECT p.scope, p.uid, p.seq, p.ended FROM publishes AS p
ANTI JOIN stored AS s ON s.body_hash = p.body_hash
ANTI JOIN graves AS g ON g.body_hash = p.body_hash
WHERE p.outcome = 'ok';

-- What was asked of drivers and members.
CREATE TABLE marks AS
SELECT scope, seq, t_ns, subscription, credit, backoff_base_ms, max_attempts, started, audited, drained
FROM rare WHERE kind = 'mark';

-- How many deliveries each member has asked for.
CREATE TABLE credits AS
SELECT scope, subscription, sum(credit) AS room FROM marks GROUP BY scope, subscription HAVING sum(credit) > 0;

-- What the harness did and saw at the process and the network.
CREATE TABLE faults AS
SELECT scope, seq, t_ns, actor, subscription, fault FROM rare WHERE kind = 'fault';

-- Scopes: whether the log was read to its end and everything was given time to be handled, how
-- many groups they have, how often was to be tried, whether the raw client's own records are kept.
CREATE TABLE scopes AS
SELECT e.scope, coalesce(m.audited, FALSE) AS audited, coalesce(m.waited, FALSE) AS waited, m.horizon_ns,
       e.groups, m.max_attempts, coalesce(m.late_start, FALSE) AS late_start,
       k.scope IS NOT NULL AS broker_killed, r.scope IS NOT NULL AS raw_lost
FROM (SELECT scope, count(grp) AS groups FROM seen GROUP BY scope) AS e
LEFT JOIN (
  SELECT scope, bool_or(coalesce(audited, FALSE)) AS audited, bool_or(drained IS NOT NULL) AS waited,
         -- What was in some hands ten seconds before the waiting ended may be there still.
         max(CASE WHEN drained IS NOT NULL THEN t_ns END) - 10000000000 AS horizon_ns,
         max(max_attempts) AS max_attempts, bool_or(started <> 'earliest') AS late_start
  FROM marks GROUP BY scope) AS m ON m.scope = e.scope
LEFT JOIN (
  SELECT DISTINCT scope FROM faults WHERE fault IN ('kill-broker', 'kill and restart')) AS k
  ON k.scope = e.scope
LEFT JOIN (
  SELECT DISTINCT i.scope FROM injected AS i
  ANTI JOIN stored AS t ON t.body_hash = i.body_hash
  ANTI JOIN graves AS g ON g.body_hash = i.body_hash
  WHERE i.position IS NOT NULL) AS r ON r.scope = e.scope;

-- Bodies, and ids, that a group was given more than once.
CREATE TABLE repeated AS
SELECT scope, grp, body_hash, min(CASE WHEN live THEN seq END) AS first
FROM deliveries GROUP BY scope, grp, body_hash HAVING count(*) > 1;
CREATE TABLE retried AS
SELECT scope, grp, message_id
FROM deliveries WHERE message_id IS NOT NULL GROUP BY scope, grp, message_id HAVING count(*) > 1;

-- Stored records whose body had no effect in a group, and those of them that the group is through with
-- all the same: by an effect of their id, of their dedupe key, or by a grave.
CREATE TABLE unhandled AS
SELECT s.scope, g.grp, s.seq, s.topic, s.message_id, s.dedupe_key, s.body_hash
FROM stored AS s
JOIN seen AS g ON g.scope = s.scope AND g.grp IS NOT NULL
ANTI JOIN effects AS e ON e.grp = g.grp AND e.body_hash = s.body_hash;
CREATE TABLE excused AS
SELECT u.scope, u.grp, u.seq, u.body_hash FROM unhandled AS u
SEMI JOIN effects AS e
  ON e.grp = u.grp AND e.message_id = u.message_id AND e.topic = u.topic
UNION
SELECT u.scope, u.grp, u.seq, u.body_hash FROM unhandled AS u
SEMI JOIN effects AS e
  ON e.grp = u.grp AND e.dedupe_key = u.dedupe_key AND e.topic = u.topic
UNION
SELECT u.scope, u.grp, u.seq, u.body_hash FROM unhandled AS u
SEMI JOIN graves AS d ON d.body_hash = u.body_hash;
CREATE TABLE waiting AS
SELECT u.scope, u.grp, u.seq FROM unhandled AS u
ANTI JOIN excused AS x ON x.scope = u.scope AND x.grp = u.grp AND x.seq = u.seq;

-- Effects, each with the stored records of its body; `same` where that has the topic of the delivery.
CREATE TABLE placed AS
SELECT e.scope, e.grp, e.seq, s.stream, s.place, s.topic, s.key, s.seq AS stored, s.body_hash, e.replay,
       e.topic = s.topic AS same
FROM effects AS e JOIN stored AS s ON s.body_hash = e.body_hash;

-- The lanes that a group has worked on, and how far: topic and key of a stored record that took
-- effect (of several copies the first, for it is not known which one was handled). Whether a
-- subscription covers a topic needs no second reading of patterns this way.
CREATE TABLE lanes AS
SELECT e.scope, e.grp, e.stream, e.topic, e.key, max(e.place) AS reached
FROM placed AS e
ANTI JOIN (
  SELECT b.scope, b.seq FROM stored AS a
  JOIN copies AS c ON c.body_hash = a.body_hash
  JOIN stored AS b
    ON b.body_hash = a.body_hash AND b.stream = a.stream AND b.topic = a.topic
   AND b.key = a.key AND b.place > a.place) AS o
  ON o.scope = e.scope AND o.seq = e.stored
JOIN scopes AS c ON c.scope = e.scope AND NOT c.late_start
-- A replay may be ahead of the group.
WHERE e.same AND e.replay IS NULL
GROUP BY e.scope, e.grp, e.stream, e.topic, e.key;

-- Stored records of a lane, each with its group: whether it is through with it.
CREATE TABLE due AS
SELECT s.scope, l.grp, s.seq, s.stream, s.place, s.body_hash, l.reached, w.scope IS NULL AS settled
FROM stored AS s
JOIN lanes AS l
  ON l.scope = s.scope AND l.stream = s.stream AND l.topic = s.topic AND l.key = s.key
LEFT JOIN waiting AS w ON w.scope = s.scope AND w.grp = l.grp AND w.seq = s.seq;

-- Those that it is not through with, and whether there was no time left for them since the group was
-- last given them.
CREATE TABLE owed AS
SELECT r.scope, r.grp, r.seq, r.stream, s.position, r.place, r.body_hash, r.reached,
       f.scope IS NOT NULL AS fresh
FROM due AS r
JOIN stored AS s ON s.scope = r.scope AND s.seq = r.seq
LEFT JOIN (
  SELECT DISTINCT d.scope, d.grp, d.body_hash
  FROM deliveries AS d JOIN scopes AS c ON c.scope = d.scope AND d.t_ns > c.horizon_ns) AS f
  ON f.grp = r.grp AND f.body_hash = r.body_hash
WHERE NOT r.settled;

-- How far the broker counts a group, as the raw client asked again and again.
CREATE TABLE checkpoints AS
SELECT scope, seq, grp, stream, TRY_CAST(split_part(position, ':', -1) AS BIGINT) AS place
FROM rare WHERE kind = 'checkpoint';
CREATE TABLE floors AS
SELECT scope, grp, stream, max(place) AS floor FROM checkpoints GROUP BY scope, grp, stream;

-- Members that were frozen, and for how long: what they had buffered is nobody's fault.
CREATE TABLE pauses AS
SELECT p.scope, p.subscription, p.seq AS paused, min(r.seq) AS resumed, min(r.t_ns) AS resumed_ns
FROM faults AS p
JOIN faults AS r
  ON r.scope = p.scope AND r.subscription = p.subscription AND r.seq > p.seq AND r.fault = 'resumed'
WHERE p.fault = 'paused'
GROUP BY p.scope, p.subscription, p.seq;

-- From the first stall of consumers to the last time that all was well again.
CREATE TABLE stalls AS
SELECT scope, min(CASE WHEN fault = 'stall' THEN seq END) AS began,
       max(CASE WHEN fault = 'healed' THEN seq END) AS healed
FROM faults GROUP BY scope;

-- Everything that passed by on the wire, also what no stream took: the attempts of producers; and
-- those at publishes that took more than one.
CREATE TABLE sent AS
SELECT scope, seq, message_id, body_hash, at_ns FROM events WHERE kind = 'wire';
CREATE TABLE resent AS
SELECT w.scope, w.seq, w.message_id, w.body_hash, w.at_ns
FROM sent AS w
JOIN (SELECT scope, body_hash FROM sent GROUP BY scope, body_hash HAVING count(*) > 1) AS r
  ON r.body_hash = w.body_hash
SEMI JOIN publishes AS p ON p.body_hash = w.body_hash;

-- The pauses before the second and each further attempt (`n` from 1) at publishes that were not
-- acknowledged, where the binding was told a backoff that can be measured; summed up by `n`.
CREATE TABLE gaps AS
SELECT scope, n, max(seq) AS seq, count(*) AS records, median(ms) AS middle,
       quantile_cont(ms, 0.1) AS lowest, quantile_cont(ms, 0.32) AS low,
       quantile_cont(ms, 0.68) AS high, quantile_cont(ms, 0.9) AS highest
FROM (
  SELECT w.scope, w.seq,
         (w.at_ns - lag(w.at_ns) OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq)) / 1000000.0 AS ms,
         row_number() OVER (PARTITION BY w.scope, w.body_hash ORDER BY w.at_ns, w.seq) - 1 AS n
  FROM resent AS w
  SEMI JOIN marks AS f ON f.scope = w.scope AND f.backoff_base_ms >= 200
  SEMI JOIN publishes AS p ON p.body_hash = w.body_hash AND p.outcome <> 'ok')
WHERE n >= 1 GROUP BY scope, n;

-- Replay requests, and the deliveries that answer them.
CREATE TABLE requests AS
SELECT scope, seq, request, domain, from_ns, until_ns, coalesce(narrow, FALSE) AS narrow,
       split_part(topic, '.', 2) AS env
FROM rare WHERE kind = 'replay';
CREATE TABLE replayed AS
SELECT scope, seq, grp, subscription, delivery, replay, topic, message_id, body_hash, position
FROM deliveries WHERE replay IS NOT NULL;
