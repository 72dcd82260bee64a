-- property: silent_drop
-- clauses: BKP-03
-- severity: fail
-- means: a record acknowledged while consumers were stalled was never settled
-- coverage
SELECT count(*) FROM publishes AS p
JOIN stalls AS f ON f.scope = p.scope AND f.began < p.seq AND f.healed > p.ended
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND s.waited AND NOT s.raw_lost
WHERE p.outcome = 'ok'
-- violations
WITH pressed AS (
  SELECT p.scope, p.uid, p.ended, p.body_hash FROM publishes AS p
  JOIN stalls AS f ON f.scope = p.scope AND f.began < p.seq AND f.healed > p.ended
  JOIN scopes AS s ON s.scope = p.scope AND s.audited AND s.waited AND NOT s.raw_lost
  ANTI JOIN effects AS e ON e.body_hash = p.body_hash
  ANTI JOIN graves AS g ON g.body_hash = p.body_hash
  WHERE p.outcome = 'ok')
SELECT p.scope, p.ended AS seq, p.uid || ' was acknowledged under load and dropped' AS says
FROM pressed AS p
LEFT JOIN stored AS t ON t.body_hash = p.body_hash
-- What is stored may only be late, as long as no later record of its lane was handled.
LEFT JOIN (
  SELECT DISTINCT scope, seq FROM owed WHERE place < reached AND NOT fresh) AS r
  ON r.scope = t.scope AND r.seq = t.seq
ANTI JOIN excused AS x ON x.scope = t.scope AND x.seq = t.seq
WHERE t.scope IS NULL OR r.scope IS NOT NULL
