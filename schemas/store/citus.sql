-- Citus: the tables of postgres/ over the workers, by lane. `trien store init` runs this file after them on
-- the coordinator where `postgres_distribution = citus`; the extension must be there already.
-- One lane is one shard of each table, and shards of one lane lie together: a transaction that stays
-- within a lane is a local one, without two-phase commit.

SELECT create_distributed_table('result', 'lane', colocate_with => 'none', shard_count => 64);
SELECT create_distributed_table('holding', 'lane', colocate_with => 'result');
SELECT create_distributed_table('locator', 'lane', colocate_with => 'result');
SELECT create_distributed_table('voided', 'lane', colocate_with => 'result');
SELECT create_distributed_table('event', 'lane', colocate_with => 'result');
SELECT create_distributed_table('number_register', 'lane', colocate_with => 'result');
SELECT create_distributed_table('counter', 'lane', colocate_with => 'result');
SELECT create_reference_table('layer');
SELECT create_reference_table('unit_owner');
