-- property: recovered
-- clauses: SLO-05, SLO-06
-- severity: fail
-- means: after a fault was healed nothing could be published or handled, or what was acknowledged before is gone
-- coverage
SELECT count(*) FROM events WHERE kind = 'fault' AND fault = 'healed'
-- violations
SELECT h.scope, h.seq, 'nothing was acknowledged and handled any more after the fault' AS says
FROM events AS h
JOIN scopes AS s ON s.scope = h.scope AND s.waited
WHERE h.kind = 'fault' AND h.fault = 'healed'
  AND (NOT EXISTS (
    SELECT 1 FROM publishes AS p
    WHERE p.scope = h.scope AND p.outcome = 'ok' AND p.seq > h.seq
      AND EXISTS (SELECT 1 FROM effects AS e WHERE e.scope = p.scope AND e.body_hash = p.body_hash)))
UNION ALL
SELECT p.scope, p.ended AS seq, p.uid || ' was acknowledged before the fault and is gone' AS says
FROM publishes AS p
JOIN (SELECT scope, min(seq) AS seq FROM events
      WHERE kind = 'fault' AND fault = 'healed' GROUP BY scope) AS h
  ON h.scope = p.scope AND p.ended < h.seq
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
ANTI JOIN (SELECT scope, body_hash FROM stored UNION SELECT scope, body_hash FROM graves) AS l
  ON l.scope = p.scope AND l.body_hash = p.body_hash
WHERE p.outcome = 'ok'
