-- property: lost_from_log
-- clauses: QOS-01, QOS-03
-- severity: fail
-- means: an acknowledged record is in neither the log nor the DLQ when both are read at the end
-- coverage
SELECT count(*) FROM publishes AS p JOIN scopes AS s USING (scope)
WHERE p.outcome = 'ok' AND s.audited AND NOT s.raw_lost
-- violations
SELECT p.scope, p.ended AS seq, 'the acknowledged record ' || p.uid || ' is stored nowhere' AS says
FROM gone AS p
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
