-- Citus: the tables of postgres/ over the workers, by lane. `trien store init` runs this file after 001.sql on
-- the coordinator where `postgres_distribution = citus`; the extension must be there already, with its workers.
-- A lane lies in one shard of each table, and those shards lie together: a transaction that stays within a
-- lane has to do with one worker. Which shard is said by Citus' hash: the 64 lanes fall into 39 of the 64
-- shards, at most four into one.

-- The transaction has made a function before, which is sent to the workers in order: so are shards, then.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';
SELECT create_distributed_table('result', 'lane', colocate_with => 'none', shard_count => 64);
SELECT create_distributed_table('holding', 'lane', colocate_with => 'result');
SELECT create_distributed_table('locator', 'lane', colocate_with => 'result');
SELECT create_distributed_table('voided', 'lane', colocate_with => 'result');
SELECT create_distributed_table('event', 'lane', colocate_with => 'result');
SELECT create_distributed_table('number_register', 'lane', colocate_with => 'result');
SELECT create_distributed_table('counter', 'lane', colocate_with => 'result');
SELECT create_reference_table('layer');
SELECT create_reference_table('unit_owner');
