-- property: double_effect
-- clauses: IDM-01, IDM-03
-- severity: fail
-- means: a handler was called again for an id whose effect the binding had recorded before
-- coverage
SELECT count(*) FROM effects WHERE confirmed IS NOT NULL
-- violations
WITH again AS (
  SELECT e.* FROM effects AS e
  SEMI JOIN retried AS r ON r.grp = e.grp AND r.message_id = e.message_id)
SELECT b.scope, b.delivered AS seq,
       'the id of delivery ' || b.delivery || ' had its effect in ' || a.delivery || ' already' AS says
FROM again AS a
JOIN again AS b
  ON b.grp = a.grp AND b.message_id = a.message_id AND b.topic = a.topic
WHERE b.delivered > a.confirmed
  AND NOT b.dead  -- each group writes its own dead letter, all under one id
  AND (b.subscription = a.subscription OR b.started_ns > a.confirmed_ns + 250000000)
  AND b.replay IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM pauses AS z
    WHERE z.scope = b.scope AND z.subscription = b.subscription AND a.confirmed > z.paused
      AND b.delivered > z.resumed AND b.delivered_ns < z.resumed_ns + 2000000000)
