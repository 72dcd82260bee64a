-- property: dlq_fidelity
-- clauses: DLQ-05, DLQ-07
-- severity: fail
-- means: a dead letter lacks headers of its original, or carries another payload
-- coverage
SELECT count(*) FROM graves WHERE missing_headers IS NOT NULL
-- violations
SELECT g.scope, g.seq,
       'the dead letter at ' || g.position || ' lacks or changes ' || g.missing_headers || ' headers' AS says
FROM graves AS g WHERE g.missing_headers > 0
UNION ALL
SELECT g.scope, g.seq, 'the dead letter at ' || g.position || ' carries another payload' AS says
FROM graves AS g
JOIN scopes AS s ON s.scope = g.scope AND s.audited
ANTI JOIN stored AS t ON t.body_hash = g.body_hash
ANTI JOIN known AS k ON k.body_hash = g.body_hash
WHERE g.missing_headers IS NOT NULL
