-- property: recovered
-- clauses: SLO-06
-- severity: fail
-- means: after a fault was healed nothing could be published or handled any more
-- coverage
SELECT count(*) FROM events AS h
JOIN scopes AS s ON s.scope = h.scope AND s.waited
WHERE h.kind = 'fault' AND h.fault = 'healed'
  AND EXISTS (SELECT 1 FROM publishes AS p WHERE p.scope = h.scope AND p.seq > h.seq)
-- violations
WITH handled AS (
  SELECT scope, body_hash FROM effects
  UNION
  SELECT scope, body_hash FROM graves
  UNION
  SELECT s.scope, s.body_hash FROM stored AS s
  JOIN done AS d ON d.scope = s.scope AND d.stream = s.stream AND d.position = s.position)
SELECT h.scope, h.seq, 'nothing was acknowledged and handled any more after the fault' AS says
FROM events AS h
JOIN scopes AS s ON s.scope = h.scope AND s.waited
WHERE h.kind = 'fault' AND h.fault = 'healed'
  AND EXISTS (SELECT 1 FROM publishes AS p WHERE p.scope = h.scope AND p.seq > h.seq)
  AND NOT EXISTS (
    SELECT 1 FROM publishes AS p
    WHERE p.scope = h.scope AND p.outcome = 'ok' AND p.seq > h.seq
      AND EXISTS (SELECT 1 FROM handled AS e WHERE e.scope = p.scope AND e.body_hash = p.body_hash))
