-- property: log_duplicates
-- clauses: QOS-01
-- severity: statistic
-- means: a record that was published once is stored more than once; legal at least once, worth knowing
-- coverage
SELECT count(*) FROM publishes AS p JOIN scopes AS s USING (scope) WHERE s.audited
-- violations
SELECT c.scope, c.seq, 'stored ' || c.number || ' times, published once' AS says
FROM copies AS c
JOIN publishes AS p ON p.body_hash = c.body_hash AND p.sole
