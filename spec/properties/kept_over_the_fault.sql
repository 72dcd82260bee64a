-- property: kept_over_the_fault
-- clauses: SLO-05
-- severity: fail
-- means: what was acknowledged before a fault is gone after it
-- coverage
SELECT count(*) FROM publishes AS p
JOIN stalls AS h ON h.scope = p.scope AND p.ended < h.healed
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
WHERE p.outcome = 'ok'
-- violations
SELECT p.scope, p.ended AS seq, p.uid || ' was acknowledged before the fault and is gone' AS says
FROM gone AS p
JOIN stalls AS h ON h.scope = p.scope AND p.ended < h.healed
JOIN scopes AS s ON s.scope = p.scope AND s.audited AND NOT s.raw_lost
