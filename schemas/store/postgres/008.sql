-- Version 8: two engines of one number are told apart.

-- Of which data folder its engine is, a random word; '': it was published before version 8.
ALTER TABLE unit_owner ADD COLUMN folder text COLLATE "C" NOT NULL DEFAULT '';
