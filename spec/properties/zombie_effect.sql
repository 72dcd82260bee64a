-- property: zombie_effect
-- clauses: ORD-02, IDM-01
-- severity: fail
-- means: a frozen member went on working on a key that another had taken over
-- coverage
SELECT count(*) FROM deliveries AS d
SEMI JOIN (
  SELECT DISTINCT p.scope, p.subscription, m.grp, p.paused, p.resumed
  FROM pauses AS p
  JOIN deliveries AS m
    ON m.scope = p.scope AND m.subscription = p.subscription AND m.seq < p.paused) AS z
  ON z.scope = d.scope AND z.grp = d.grp AND z.subscription <> d.subscription
 AND d.seq > z.paused AND d.seq < z.resumed
-- violations
WITH thawed AS (
  SELECT z.scope, z.grp, z.subscription, z.delivery, z.delivered, z.topic, z.key, z.body_hash,
         s.stream, s.place
  FROM effects AS z
  JOIN pauses AS p
    ON p.scope = z.scope AND p.subscription = z.subscription
   AND z.delivered_ns > p.resumed_ns + 2000000000
  JOIN stored AS s ON s.body_hash = z.body_hash
  -- Of a record with several copies nobody knows which one was handled.
  ANTI JOIN copies AS c ON c.body_hash = z.body_hash
  WHERE z.replay IS NULL)
SELECT DISTINCT z.scope, z.delivered AS seq,
       'the member that was frozen handled ' || z.delivery || ' of ' || z.grp
       || ' after another had handled a later record of its key' AS says
FROM thawed AS z
JOIN effects AS o
  ON o.scope = z.scope AND o.grp = z.grp AND o.topic = z.topic AND o.key = z.key
 AND o.subscription <> z.subscription AND o.confirmed < z.delivered
JOIN stored AS t ON t.body_hash = o.body_hash AND t.stream = z.stream
-- Where the other record has several copies, all of them are later.
LEFT JOIN copies AS k ON k.body_hash = o.body_hash
WHERE o.replay IS NULL AND coalesce(k.place, t.place) > z.place
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS b
    WHERE b.grp = z.grp AND b.body_hash = z.body_hash AND b.seq < o.delivered)
