-- property: undrained
-- clauses: QOS-01
-- severity: statistic
-- means: a stored record was not settled when the run ended, and none after it: it may only be late
-- coverage
SELECT count(*) FROM due AS r JOIN scopes AS s USING (scope) WHERE s.audited AND s.waited
-- violations
SELECT r.scope, r.seq, 'the record at ' || r.position || ' was not settled in ' || r.grp || ' yet' AS says
FROM owed AS r
JOIN scopes AS s ON s.scope = r.scope AND s.audited AND s.waited
WHERE r.fresh OR r.place >= r.reached
