-- Version 9: a server knows which lanes it keeps.

-- An engine notes them at its first start, as the setting `postgres` says; after that another list is refused.
-- Whoever moves lanes by hand moves their rows here, too. No row: nobody noted them yet.
CREATE TABLE server_lane (
	lane smallint PRIMARY KEY
);
