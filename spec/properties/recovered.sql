-- property: recovered
-- clauses: SLO-06
-- severity: fail
-- means: after a fault was healed nothing could be published or handled any more
-- coverage
SELECT count(*) FROM faults AS h
JOIN scopes AS s ON s.scope = h.scope AND s.waited
JOIN (SELECT scope, max(seq) AS seq FROM publishes GROUP BY scope) AS p
  ON p.scope = h.scope AND p.seq > h.seq
WHERE h.fault = 'healed'
-- violations
WITH handled AS (
  SELECT p.scope, p.seq FROM publishes AS p
  SEMI JOIN effects AS e ON e.body_hash = p.body_hash
  WHERE p.outcome = 'ok'
  UNION ALL
  SELECT p.scope, p.seq FROM publishes AS p
  SEMI JOIN graves AS g ON g.body_hash = p.body_hash
  WHERE p.outcome = 'ok'
  UNION ALL
  SELECT p.scope, p.seq FROM publishes AS p
  SEMI JOIN excused AS x ON x.body_hash = p.body_hash
  WHERE p.outcome = 'ok')
SELECT h.scope, h.seq, 'nothing was acknowledged and handled any more after the fault' AS says
FROM faults AS h
JOIN scopes AS s ON s.scope = h.scope AND s.waited
JOIN (SELECT scope, max(seq) AS seq FROM publishes GROUP BY scope) AS p
  ON p.scope = h.scope AND p.seq > h.seq
ANTI JOIN (SELECT scope, max(seq) AS seq FROM handled GROUP BY scope) AS e
  ON e.scope = h.scope AND e.seq > h.seq
WHERE h.fault = 'healed'
