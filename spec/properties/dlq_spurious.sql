-- property: dlq_spurious
-- clauses: RTY-07
-- severity: fail
-- means: a dead letter of a sound record, of which no attempt has failed
-- coverage
SELECT count(*) FROM graves AS g
JOIN scopes AS s ON s.scope = g.scope AND s.waited
JOIN deliveries AS d ON d.body_hash = g.body_hash AND NOT d.dead
SEMI JOIN known AS k ON k.body_hash = g.body_hash
ANTI JOIN corrupt AS c ON c.body_hash = g.body_hash
-- violations
SELECT g.scope, g.seq, 'the dead letter at ' || g.position || ' had no failed attempt' AS says
FROM graves AS g
JOIN scopes AS s ON s.scope = g.scope AND s.waited
SEMI JOIN known AS k ON k.body_hash = g.body_hash
ANTI JOIN corrupt AS c ON c.body_hash = g.body_hash
-- An attempt whose effect was not recorded, because its member died, has failed as well.
ANTI JOIN (
  SELECT d.scope, d.body_hash
  FROM deliveries AS d
  SEMI JOIN graves AS b ON b.body_hash = d.body_hash
  WHERE NOT d.dead AND (d.effect IS NULL OR d.confirmed IS NULL)) AS f
  ON f.body_hash = g.body_hash
