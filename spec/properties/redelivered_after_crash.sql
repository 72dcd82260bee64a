-- property: redelivered_after_crash
-- clauses: QOS-02
-- severity: fail
-- means: what a killed member had in its hands was never given to another
-- coverage
SELECT count(*) FROM deliveries AS d
JOIN faults AS k
  ON k.scope = d.scope AND k.fault = 'killed' AND k.actor = d.actor AND k.seq > d.seq
LEFT JOIN ends AS e
  ON e.scope = d.scope AND e.handle = d.handle
LEFT JOIN effects AS f
  ON f.scope = d.scope AND f.handle = d.handle
JOIN scopes AS s ON s.scope = d.scope AND s.audited AND s.waited
WHERE e.seq IS NULL OR (f.seq IS NOT NULL AND f.confirmed IS NULL)
-- violations
SELECT DISTINCT d.scope, d.seq,
       'delivery ' || d.delivery || ' was open when its member of ' || d.grp
       || ' was killed, and nothing came of it' AS says
FROM deliveries AS d
JOIN faults AS k
  ON k.scope = d.scope AND k.fault = 'killed' AND k.actor = d.actor AND k.seq > d.seq
LEFT JOIN ends AS e
  ON e.scope = d.scope AND e.handle = d.handle
 AND e.seq < k.seq
JOIN scopes AS s ON s.scope = d.scope AND s.audited AND s.waited
JOIN due AS r
  ON r.scope = d.scope AND r.grp = d.grp AND r.body_hash = d.body_hash AND NOT r.settled
WHERE e.seq IS NULL
