-- property: both_ends
-- clauses: RTY-07
-- severity: fail
-- means: a record whose effect was recorded is in the DLQ as well, where there is one group only
-- coverage
SELECT count(*) FROM effects AS e JOIN scopes AS s USING (scope)
WHERE s.groups = 1 AND s.audited AND e.confirmed IS NOT NULL
-- violations
SELECT DISTINCT e.scope, g.seq, 'delivery ' || e.delivery || ' took effect, and is a dead letter' AS says
FROM effects AS e
JOIN scopes AS s ON s.scope = e.scope AND s.groups = 1
JOIN graves AS g ON g.body_hash = e.body_hash
JOIN stored AS t ON t.body_hash = e.body_hash
WHERE e.confirmed IS NOT NULL AND NOT e.dead
  -- A dead letter may be redriven or replayed, and each copy of a record has attempts of its own.
  AND e.replay IS NULL
  AND NOT EXISTS (SELECT 1 FROM copies AS c WHERE c.body_hash = e.body_hash)
  -- While its member was frozen the attempts may have been used up by others.
  AND NOT EXISTS (
    SELECT 1 FROM pauses AS z
    WHERE z.scope = e.scope AND z.subscription = e.subscription
      AND e.delivered < z.resumed AND e.confirmed > z.paused)
