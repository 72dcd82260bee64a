-- property: kept_over_the_fault
-- clauses: SLO-05
-- severity: fail
-- means: what was acknowledged before a fault is gone after it
-- coverage
SELECT count(*) FROM publishes AS p
JOIN (SELECT scope, max(seq) AS seq FROM events
      WHERE kind = 'fault' AND fault = 'healed' GROUP BY scope) AS h
  ON h.scope = p.scope AND p.ended < h.seq
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
WHERE p.outcome = 'ok'
-- violations
SELECT p.scope, p.ended AS seq, p.uid || ' was acknowledged before the fault and is gone' AS says
FROM publishes AS p
JOIN (SELECT scope, max(seq) AS seq FROM events
      WHERE kind = 'fault' AND fault = 'healed' GROUP BY scope) AS h
  ON h.scope = p.scope AND p.ended < h.seq
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
ANTI JOIN (SELECT scope, body_hash FROM stored UNION SELECT scope, body_hash FROM graves) AS l
  ON l.scope = p.scope AND l.body_hash = p.body_hash
WHERE p.outcome = 'ok'
