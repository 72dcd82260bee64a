-- property: recovered
-- clauses: SLO-06
-- severity: fail
-- means: after a fault was healed nothing could be published or handled any more
-- coverage
SELECT count(*) FROM faults WHERE fault = 'healed'
-- violations
SELECT h.scope, h.seq, 'nothing was acknowledged and handled any more after the fault' AS says
FROM faults AS h
JOIN scopes AS s ON s.scope = h.scope AND s.waited
LEFT JOIN (
  SELECT p.scope, max(p.seq) AS seq FROM publishes AS p
  SEMI JOIN effects AS e ON e.scope = p.scope AND e.body_hash = p.body_hash
  WHERE p.outcome = 'ok' GROUP BY p.scope) AS l ON l.scope = h.scope AND l.seq > h.seq
WHERE h.fault = 'healed' AND l.scope IS NULL
