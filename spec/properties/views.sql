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

-- Everything that may be delivered: published through the binding, or injected raw.
CREATE TABLE known AS
SELECT DISTINCT scope, body_hash FROM events WHERE kind IN ('invoke', 'inject');

CREATE TABLE deliveries AS
SELECT scope, seq, grp, subscription, delivery, body_hash, lower(message_id) AS message_id,
       dedupe_key, topic, key, attempt, position
FROM events WHERE kind = 'deliver';

-- Effects: deliveries whose handler succeeded; `confirmed` is when the binding had recorded it.
CREATE TABLE effects AS
SELECT e.scope, e.seq, d.grp, d.subscription, d.delivery, d.body_hash, d.message_id, d.dedupe_key,
       d.topic, d.key, d.seq AS delivered, min(c.seq) AS confirmed
FROM events AS e
JOIN deliveries AS d
  ON d.scope = e.scope AND d.subscription = e.subscription AND d.delivery = e.delivery
LEFT JOIN events AS c
  ON c.scope = e.scope AND c.subscription = e.subscription AND c.delivery = e.delivery
 AND c.kind = 'settled' AND c.recorded
WHERE e.kind = 'effect'
GROUP BY ALL;

-- What the raw client read from the log at the end, live records and dead letters.
CREATE TABLE stored AS
SELECT scope, seq, stream, position, topic, body_hash FROM events WHERE kind = 'audit';
CREATE TABLE graves AS
SELECT scope, seq, stream, position, topic, body_hash FROM events WHERE kind = 'dlq';

-- Scopes whose log was read to its end, how many groups they have, and how often was to be tried.
CREATE TABLE scopes AS
SELECT scope, bool_or(coalesce(audited, FALSE)) AS audited,
       count(DISTINCT grp) AS groups, min(max_attempts) AS max_attempts,
       bool_or(kind = 'mark' AND started <> 'earliest') AS late_start
FROM events GROUP BY scope;
