-- property: double_effect_by_key
-- clauses: IDM-02
-- severity: fail
-- means: a handler was called for a dedupe_key whose effect on this topic the binding had recorded before
-- coverage
SELECT count(*) FROM effects WHERE confirmed IS NOT NULL AND dedupe_key IS NOT NULL
-- violations
WITH shared AS (
  SELECT scope, grp, topic, dedupe_key FROM effects WHERE dedupe_key IS NOT NULL
  GROUP BY scope, grp, topic, dedupe_key HAVING min(message_id) < max(message_id)),
again AS (
  SELECT e.* FROM effects AS e
  SEMI JOIN shared AS r
    ON r.grp = e.grp AND r.topic = e.topic AND r.dedupe_key = e.dedupe_key)
SELECT b.scope, b.delivered AS seq,
       'the dedupe_key of delivery ' || b.delivery || ' had its effect in ' || a.delivery AS says
FROM again AS a
JOIN again AS b
  ON b.grp = a.grp AND b.topic = a.topic AND b.dedupe_key = a.dedupe_key
 AND b.message_id <> a.message_id
WHERE b.delivered > a.confirmed
  AND NOT b.dead  -- each group writes its own dead letter, all under one id
  AND (b.subscription = a.subscription OR b.started_ns > a.confirmed_ns + 250000000)
  AND NOT EXISTS (
    SELECT 1 FROM pauses AS z
    WHERE z.scope = b.scope AND z.subscription = b.subscription AND a.confirmed > z.paused
      AND b.delivered > z.resumed AND b.delivered_ns < z.resumed_ns + 2000000000)
