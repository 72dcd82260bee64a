-- property: one_position_two_records
-- clauses: QOS-03
-- severity: fail
-- means: one place in the log was seen with two different records
-- coverage
SELECT count(*) FROM deliveries AS d
JOIN stored AS s ON s.scope = d.scope AND s.position = d.position AND s.topic = d.topic
JOIN scopes AS c ON c.scope = d.scope AND NOT c.raw_lost
-- violations
SELECT d.scope, min(d.seq) AS seq,
       'position ' || d.position || ' held another body when it was delivered' AS says
FROM deliveries AS d
JOIN stored AS s ON s.scope = d.scope AND s.position = d.position AND s.topic = d.topic
-- A broker that lost the end of its log gives its places away again.
JOIN scopes AS c ON c.scope = d.scope AND NOT c.raw_lost
WHERE s.body_hash <> d.body_hash
GROUP BY d.scope, d.position, d.body_hash
