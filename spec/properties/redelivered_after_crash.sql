-- property: redelivered_after_crash
-- clauses: QOS-02
-- severity: fail
-- means: what a killed member had in its hands was never given to another
-- coverage
SELECT count(*) FROM deliveries AS d
JOIN faults AS k ON k.scope = d.scope AND k.fault = 'killed' AND k.actor = d.actor AND k.seq > d.seq
JOIN scopes AS s ON s.scope = d.scope AND s.audited AND s.waited
WHERE d.replay IS NULL AND (d.ended IS NULL OR d.ended >= k.seq)
-- violations
WITH lost AS (
  SELECT d.scope, d.grp, d.seq, d.delivery, d.ended, d.body_hash, k.seq AS killed
  FROM owed AS r
  JOIN scopes AS s ON s.scope = r.scope AND s.audited AND s.waited
  JOIN deliveries AS d
    ON d.grp = r.grp AND d.body_hash = r.body_hash AND d.replay IS NULL
  JOIN faults AS k
    ON k.scope = d.scope AND k.fault = 'killed' AND k.actor = d.actor AND k.seq > d.seq
  WHERE NOT r.fresh)
SELECT DISTINCT l.scope, l.seq,
       'delivery ' || l.delivery || ' was open when its member of ' || l.grp
       || ' was killed, and nothing came of it' AS says
FROM lost AS l
ANTI JOIN deliveries AS o
  ON o.grp = l.grp AND o.body_hash = l.body_hash AND o.seq > l.killed
WHERE l.ended IS NULL OR l.ended >= l.killed
