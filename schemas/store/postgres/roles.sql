-- Who may do what. `trien store init` runs this file where it may create roles, and else prints it for an
-- administrator. It may be run again at any time. The roles cannot log in: give them to users that do,
-- as in GRANT trien_writer TO engine1.

DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['trien_writer', 'trien_reader', 'trien_auditor'] LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
			EXECUTE format('CREATE ROLE %I NOLOGIN', name);
		END IF;
	END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO trien_writer, trien_reader, trien_auditor;
REVOKE ALL ON FUNCTION trien_months(date, int), trien_fold(smallint, smallint),
	trien_claim(smallint, bytea, smallint), trien_release(smallint, bytea[], smallint) FROM PUBLIC;

-- The engine.
GRANT SELECT, INSERT ON result, holding, locator, voided, event, number_register, counter, layer,
	reading, object TO trien_writer;
GRANT UPDATE (state, at, record) ON number_register TO trien_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON unit_owner TO trien_writer;
-- Without its row an original stays: a writer may make nothing go by this.
GRANT SELECT, DELETE ON claim TO trien_writer;
GRANT SELECT, INSERT ON server_lane TO trien_writer;
GRANT SELECT ON trien_schema TO trien_writer;
GRANT EXECUTE ON FUNCTION trien_months(date, int), trien_fold(smallint, smallint),
	trien_claim(smallint, bytea, smallint), trien_release(smallint, bytea[], smallint) TO trien_writer;

-- The engine's readers, a portal: what citizens may see, and nothing can be changed.
GRANT SELECT ON result, holding, locator, voided, event, number_register, counter, layer, unit_owner,
	trien_schema, server_lane, reading, object, claim TO trien_reader;

-- Auditors: books, statistics and what happened; no files and no cases.
GRANT SELECT (lane, sequence, unit, kind, issued, case_digest, facts, papers, parts) ON result
	TO trien_auditor;
GRANT SELECT ON voided, event, number_register, counter, unit_owner, trien_schema, server_lane
	TO trien_auditor;
