-- property: log_duplicates
-- clauses: QOS-01
-- severity: statistic
-- means: a record that was published once is stored more than once; legal at least once, worth knowing
-- coverage
SELECT count(*) FROM publishes AS p JOIN scopes AS s USING (scope) WHERE s.audited
-- violations
SELECT t.scope, max(t.seq) AS seq, 'stored ' || count(*) || ' times, published once' AS says
FROM stored AS t
JOIN (SELECT scope, body_hash FROM stored GROUP BY ALL HAVING count(*) > 1) AS n
  ON n.scope = t.scope AND n.body_hash = t.body_hash
JOIN (SELECT scope, body_hash FROM publishes GROUP BY ALL HAVING count(*) = 1) AS p
  ON p.scope = t.scope AND p.body_hash = t.body_hash
ANTI JOIN injected AS i ON i.scope = t.scope AND i.body_hash = t.body_hash
GROUP BY t.scope, t.body_hash
