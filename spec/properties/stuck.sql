-- property: stuck
-- clauses: RTY-05
-- severity: fail
-- means: a delivery that failed was never followed by another, an effect or a dead letter
-- coverage
SELECT count(*) FROM deliveries AS d
JOIN scopes AS s ON s.scope = d.scope AND s.audited AND s.waited
WHERE d.replay IS NULL AND d.ended IS NOT NULL AND d.effect IS NULL
-- violations
SELECT d.scope, d.seq, 'delivery ' || d.delivery || ' failed in ' || d.grp || ', and nothing came of it' AS says
FROM deliveries AS d
JOIN scopes AS s ON s.scope = d.scope AND s.audited AND s.waited
JOIN owed AS r
  ON r.grp = d.grp AND r.body_hash = d.body_hash AND NOT r.fresh
WHERE d.replay IS NULL AND d.ended IS NOT NULL AND d.effect IS NULL AND NOT EXISTS (
  SELECT 1 FROM deliveries AS o
  WHERE o.grp = d.grp AND o.body_hash = d.body_hash AND o.seq > d.seq)
