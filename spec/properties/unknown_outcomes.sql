-- property: unknown_outcomes
-- clauses: IDM-01
-- severity: fail
-- means: a publish of unknown outcome took effect twice
-- coverage
SELECT count(*) FROM publishes WHERE outcome = 'info'
-- violations
SELECT DISTINCT b.scope, b.delivered AS seq,
       p.uid || ' was unknown, and took effect in ' || a.delivery || ' and again' AS says
FROM publishes AS p
JOIN effects AS a ON a.body_hash = p.body_hash
JOIN effects AS b
  ON b.body_hash = p.body_hash AND b.grp = a.grp AND b.topic = a.topic
WHERE p.outcome = 'info' AND p.sole AND NOT b.dead AND b.delivered > a.confirmed
  AND (b.subscription = a.subscription OR b.started_ns > a.confirmed_ns + 250000000)
  AND NOT EXISTS (
    SELECT 1 FROM pauses AS z
    WHERE z.scope = b.scope AND z.subscription = b.subscription AND a.confirmed > z.paused
      AND b.delivered > z.resumed AND b.delivered_ns < z.resumed_ns + 2000000000)
