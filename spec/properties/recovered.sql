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
SELECT h.scope, h.seq, 'nothing was acknowledged and handled any more after the fault' AS says
FROM events AS h
JOIN scopes AS s ON s.scope = h.scope AND s.waited
WHERE h.kind = 'fault' AND h.fault = 'healed'
  AND EXISTS (SELECT 1 FROM publishes AS p WHERE p.scope = h.scope AND p.seq > h.seq)
  AND NOT EXISTS (
    SELECT 1 FROM publishes AS p
    WHERE p.scope = h.scope AND p.outcome = 'ok' AND p.seq > h.seq
      AND EXISTS (
        SELECT 1 FROM (SELECT scope, body_hash FROM effects UNION SELECT scope, body_hash FROM graves) AS e
        WHERE e.scope = p.scope AND e.body_hash = p.body_hash))
